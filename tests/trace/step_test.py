"""./run step: the tape as text, a session at a prompt, and every error, on recordings of sample.py."""
import io
import json
import os
import pathlib
import pty
import re
import select
import subprocess
import sys
import tempfile
import unicodedata

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import sample  # noqa: E402
from prompt import Stepper  # noqa: E402
from recording import Recording, printable  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEP = ROOT / "run"
temporary = tempfile.TemporaryDirectory()
FOLDER = pathlib.Path(temporary.name)
found = 0


def check(condition, what):
    global found
    if not condition:
        found += 1
        print(f"FAILED: {what}")


def recorded(name):
    return Recording(json.loads(json.dumps(sample.PROGRAMS[name]())))


def has(text, *wanted):
    """Each of these stands in the text, in this order; spaces count as one."""
    flat, at = " ".join(text.split()), 0
    for one in wanted:
        place = flat.find(" ".join(one.split()), at)
        check(place >= 0, f"no '{one}' (after what comes before it) in:\n{text}")
        at = max(place, at)


def program(name, text):
    path = FOLDER / name
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def run(*arguments, **more):
    return subprocess.run([STEP, "step", *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          **more)


def session(name, *commands):
    """What the prompt prints for these commands."""
    out = io.StringIO()
    stepper = Stepper(recorded(name), stdin=io.StringIO("\n".join(commands) + "\n"), stdout=out)
    stepper.use_rawinput = False
    stepper.cmdloop()
    return out.getvalue()


def text_of_tapes():
    for name in sample.PROGRAMS:
        for line in recorded(name).tape():
            check(len(line) <= 80, f"{name}: a line of {len(line)} columns: {line}")
            check(line == line.rstrip(), f"{name}: spaces at the end: {line}")
            check(all(unicodedata.category(c) != "Cc" for c in line), f"{name}: a control character: {line!r}")
    has("\n".join(recorded("toy").tape()), "build/toy: 9 ops, then backward() number 1 in 9 steps", "forward",
        "2 mul toy.cpp:5", "y = a b", "= [0.5 0.5 0.5] × [1 2 4]", "b h [3] [1 2 4]", "y mul#2 [3] [0.5 1 2]",
        "backward", "13 mul#6, back toy.cpp:7", "db = g a", "gives h [3] [0.3133 0.5165 1.404]",
        "sum so far [0.3133 0.5165 1.404] waits for 1 more", "gives h [3] [-0.3316 -0.2884 0.62]",
        "sum so far [-0.0183 0.2281 2.024] complete", "gives w [] 3.143")
    has("\n".join(recorded("failed").tape()), "It is not complete: Error: matmul", "the op that failed",
        "2 matmul failed toy.cpp:4", "[4, 4] has 4 rows")
    has("\n".join(recorded("large").tape()), r"\x1b[31mx\u202e [32, 32]", "[0 0.01 0.02", "mean 5.115, min 0, max 10.23")
    has("\n".join(recorded("cut").tape()), "it was computed under NoGrad", "none of its inputs requires a gradient",
        "detach() takes it out of the graph")


def sessions():
    has(session("toy", "", "b", "back", "until softmax", "where", "list", "until h", "goto 17", "q"),
        "(1 of 18)", "2 mul", "(2 of 18)", "1 expand", "This is the first step.", "5 softmax",
        "> 6 Tensor weights = softmax(scores, 0);", "> 5 softmax toy.cpp:6", "6 mul", "17 mul#2, back")
    has(session("toy", "goto 17", "why h", "print h", "print g", "print dx", "p da", "why w", "g 18", "next"),
        "gradient of h [3] from mul#6 toy.cpp:7 [0.3133 0.5165 1.404] from mul#2 toy.cpp:5 [-0.3316 -0.2884 0.62]",
        "sum [-0.0183 0.2281 2.024]", "h [3] 1 2 4", "g -0.6631", "Nothing here is called dx", "da -0.6631 -1.154 4.96",
        "gradient of w [] from expand#1", "18 expand#1, back", "This is the last step")
    has(session("nan", "nan", "goto 99", "goto x", "frobnicate", "until", "until zebra", "help"),
        "1 log", "[0 nan 1.099]", "goto takes the number of a step, from 1 to 6.", "goto takes the number",
        "There is no command frobnicate", "until takes the name", "No step after this one has to do with zebra.",
        "why a gradient is what it is")
    has(session("toy", "nan"), "There is no NaN in any step.", "There is no infinity in any step.")
    has(session("loop", "goto 7", "list", "goto 13", "list", "until Cell"), "called 4 times; call 3: > 7 mul",
        "Cell::operator(): 12 ops, called 4 times > 13 sum", "15 tanh#12, back")
    has(session("cut", "why v", "why mul#3", "why w", "why unused", "why plain", "why u", "why mul#1", "why zebra"),
        "v [3] has no gradient. mul#3 (toy.cpp:3) uses it, but no gradient reaches its result: why mul#3.",
        "detach#4 (toy.cpp:3) uses it, which takes it out of the graph.", "mul#1 (toy.cpp:2) uses it, but under NoGrad.",
        "No op of this forward uses it.", "It requires none", "relu#6 makes it 0: the derivative is g where x > 0, else 0",
        "It was computed under NoGrad (toy.cpp:2).", "Nothing here is called zebra")
    has(session("failed", "n", "where", "list", "print", "why"), "2 matmul failed", "> 4 Tensor z = matmul",
        "> 2 matmul failed toy.cpp:4", "2 matmul failed", "Nothing here is called y")
    has(session("without_lines", "where"), "Note: compile with -g", "main", "compile the program with -g")
    has(session("large", "print \x1b[31mx\u202e", "why"), "the recording holds no more of it", "gradient of square#1")


def processes():
    toy = program("toy", f"#!/bin/sh\nexec {sys.executable} {ROOT}/tests/trace/sample.py \"$@\"\n")
    done = run(toy, "toy")
    check(done.returncode == 0 and done.stdout.startswith("the program's own line\n"), f"{done}")
    has(done.stdout, "build/toy: 9 ops")
    check(run(toy, "failed").returncode == 0, "a recording of a program that failed is shown")
    has(run("toy", "toy", cwd=FOLDER).stdout, "build/toy: 9 ops")  # in the folder where it is called
    with open(FOLDER / "saved.json", "w", encoding="utf-8") as file:
        json.dump(sample.toy(), file)
    has(run(FOLDER / "saved.json").stdout, "build/toy: 9 ops")
    errors = {
        ("nothing", "There is no program nothing: give the path of one, or the name of an example"): 1,
        (program("quiet", "#!/bin/sh\n"), "wrote no recording. Link it with regrad"): 1,
        (program("fails", "#!/bin/sh\nexit 7\n"), "ended with exit status 7 before it had written a recording."): 7,
        (program("dies", "#!/bin/sh\nkill -TERM $$\n"), "was ended by signal 15 before"): 143,
        (program("odd", "#!/bin/sh\necho '{\"format\": 2}' >$REGRAD_TRACE\n"), "is not of format 1"): 1,
        (program("torn", "#!/bin/sh\necho '{\"format\": ' >$REGRAD_TRACE\n"), "cannot be read"): 1,
    }
    os.chmod(program("forbidden", "#!/bin/sh\n"), 0o644)
    errors[str(FOLDER / "forbidden"), "cannot be run: Permission denied"] = 126
    empty = json.dumps(sample.toy() | {"ops": [], "backward": [], "tensors": []})
    errors[program("empty", f"#!/bin/sh\ncat >$REGRAD_TRACE <<'END'\n{empty}\nEND\n"), "called no op of regrad"] = 1
    for (name, sentence), code in errors.items():
        done = run(name)
        check(done.returncode == code, f"{name}: exit code {done.returncode}, not {code}")
        check(sentence in done.stderr and done.stderr.count("\n") == 1, f"{name}: {done.stderr!r}")
    check(run().returncode == 2, "without arguments, the usage")


def terminal():
    """A session as a user has it."""
    toy = program("toy", f"#!/bin/sh\nexec {sys.executable} {ROOT}/tests/trace/sample.py \"$@\"\n")
    child, terminal_side = pty.fork()
    if child == 0:
        os.execv(STEP, [str(STEP), "step", toy, "toy"])
    text, waiting = "", ["next\n", "\n", "why\n", "quit\n"]
    while True:
        ready, _, _ = select.select([terminal_side], [], [], 20)
        try:
            more = os.read(terminal_side, 4096).decode() if ready else ""
        except OSError:
            more = ""
        if not more:
            break
        text += more
        if re.search(r"\(\d+ of 18\) $", text) and waiting:
            os.write(terminal_side, waiting.pop(0).encode())
    _, status = os.waitpid(child, 0)
    check(os.waitstatus_to_exitcode(status) == 0, f"exit status {status}")
    has(text, "the program's own line", "(1 of 18) next", "2 mul", "(2 of 18)", "3 expand", "(3 of 18) why",
        "gradient of expand#3 [3]", "(3 of 18) quit")


def main():
    check(printable("a\x1b\u202e\n") == r"a\x1b\u202e\x0a", "printable")
    for test in (text_of_tapes, sessions, processes, terminal):
        test()
    print(f"step: {found} failures")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
