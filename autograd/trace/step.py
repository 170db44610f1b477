#!/usr/bin/env python3
"""Runs a program that is linked with regrad, and walks through its forward and backward pass.

usage: ./run step PROGRAM [arguments]      or: ./run step RECORDING.json

At a prompt, where `help` lists the commands; without a terminal, the whole tape is printed. Another
pass than the first is recorded with REGRAD_TRACE_STEP=n.
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from prompt import Stepper  # noqa: E402
from recording import Recording, printable  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Problem(Exception):
    """A sentence for the user; code: what to exit with."""

    def __init__(self, text, code=1):
        super().__init__(text)
        self.code = code


def examples():
    folder = ROOT / "build/examples"
    return sorted(path.name for path in [*folder.glob("*"), *folder.glob("learn/*")]
                  if path.is_file() and os.access(path, os.X_OK))


def run(program, arguments, target):
    """Runs the program, which writes its recording to a file; its exit status."""
    path = pathlib.Path(program)
    if not path.is_file():
        known = f"; examples are {', '.join(examples())}" if examples() else ""
        raise Problem(f"There is no program {printable(program)}: give the path of one, or the name of an "
                      f"example{known}.")
    before = signal.signal(signal.SIGINT, lambda *_: None)  # it is for the program, which then ends
    try:
        environment = os.environ | {"REGRAD_TRACE": target}
        return subprocess.run([path.resolve(), *arguments], env=environment).returncode
    except OSError as error:
        raise Problem(f"{printable(program)} cannot be run: {error.strerror}. Is it a program, and may you "
                      "execute it?", 126) from error
    finally:
        signal.signal(signal.SIGINT, before)


def read(path, what):
    try:
        data = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise Problem(f"The recording {what} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise Problem(f"The recording {what} cannot be read: {printable(str(error))}.") from error
    if not isinstance(data, dict) or data.get("format") != 1:
        raise Problem(f"The recording {what} is not of format 1: take ./run and the library from one version of "
                      "regrad.")
    return data


def check_step():
    """The library would only say on standard error that it records nothing."""
    step = os.environ.get("REGRAD_TRACE_STEP", "1") or "1"
    if not (step.isdecimal() and int(step) > 0):
        raise Problem(f"REGRAD_TRACE_STEP={printable(step)}: must be the number of a backward pass, counted from 1.")


def record(program, arguments):
    check_step()
    with tempfile.TemporaryDirectory() as folder:
        target = os.path.join(folder, "recording.json")
        status = run(program, arguments, target)
        if os.path.isfile(target) and os.path.getsize(target):
            return read(target, f"of {printable(program)}")
    if status:
        how = f"was ended by signal {-status}" if status < 0 else f"ended with exit status {status}"
        raise Problem(f"{printable(program)} {how} before it had written a recording.",
                      128 - status if status < 0 else status)
    raise Problem(f"{printable(program)} wrote no recording. Link it with regrad (`ldd {printable(program)}` shows "
                  "libregrad), and let it compute with tensors.")


def without_lines(data):
    """A note where there is none on missing source lines."""
    known = any(frame["line"] for frame in data["frames"])
    if data["frames"] and not known and not any("-g" in note for note in data["notes"]):
        data["notes"].append("there are no source lines; compile the program with -g")


def main(arguments):
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__.partition("\n\n")[2].strip())
        return 0 if arguments else 2
    sys.stdout.reconfigure(errors="backslashreplace")
    is_recording = arguments[0].endswith(".json") and len(arguments) == 1
    if is_recording:
        data = read(arguments[0], printable(arguments[0]))
    else:
        data = record(arguments[0], arguments[1:])
    without_lines(data)
    recording = Recording(data)
    if not recording.events:
        raise Problem(f"The recording is empty: {printable(data['ended']) or 'the program called no op of regrad'}.")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("\n".join(recording.tape()))
        return 0
    stepper = Stepper(recording)
    while True:
        try:
            stepper.cmdloop()
            return 0
        except KeyboardInterrupt:
            print("^C: quit ends this")
            stepper.preloop = lambda: None


if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except Problem as problem:
        print(f"step: {problem}", file=sys.stderr)
        code = problem.code
    except BrokenPipeError:  # the reader, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)
