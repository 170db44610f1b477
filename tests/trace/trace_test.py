"""What REGRAD_TRACE, REGRAD_PROFILE and Trace record of a program: its own numbers, its own lines.

usage: trace_test.py path/to/program [path/to/program.cpp]
"""
import json
import os
import pathlib
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
SOURCE = pathlib.Path(__file__).with_name("program.cpp")


def run(*arguments, path, step=None, expect=0, **more):
    environment = {**os.environ, "REGRAD_TRACE": str(path), **more}
    if step:
        environment["REGRAD_TRACE_STEP"] = str(step)
    done = subprocess.run([PROGRAM, *arguments], env=environment, text=True, capture_output=True,
                          cwd=tempfile.gettempdir(), timeout=100)
    assert done.returncode == expect, (arguments, done.returncode, done.stderr)
    return done


def recorded(*arguments, folder, **more):
    path = folder / "out.json"
    path.unlink(missing_ok=True)
    done = run(*arguments, path=path, **more)
    return json.loads(path.read_text()), done


def user_frame(trace, stack):
    return trace["frames"][trace["stacks"][stack][trace["user"][stack]]]


def as_float32(text):
    return struct.unpack("f", struct.pack("f", float(text)))[0]


def printed(output, step):
    """What the program printed at a step, by name."""
    lines = output.split(f"step {step}\n")[1].split("step ")[0].splitlines()
    return {name: [as_float32(one) for one in rest]
            for name, *rest in (line.split() for line in lines)}


def check_lines(trace):
    """Each op was called at a line that says so."""
    marks = {number: re.findall(r"\w+", line.split("// ops:")[1]) for number, line in
             enumerate(SOURCE.read_text().splitlines(), 1) if "// ops:" in line}
    seen = set()
    for op in trace["ops"]:
        frame = user_frame(trace, op["stack"])
        assert frame["file"].endswith("program.cpp"), frame
        assert op["name"] in marks.get(frame["line"], []), (op["name"], frame)
        seen.add((frame["line"], op["name"]))
        assert trace["sources"][frame["file"]][str(frame["line"])].count("// ops:"), frame
    wanted = {(number, name) for number, names in marks.items() for name in names}
    assert wanted - seen <= {one for one in wanted if one[1] == "exp"}, wanted - seen


def check_numbers(trace, output, step):
    said = printed(output, step)
    by_name = {one["name"]: one for one in trace["tensors"]}
    weight = by_name["first.linear.weight"]
    assert [as_float32(one) for one in weight["value"]["v"]] == said["weight"]
    assert [as_float32(one) for one in weight["gradient"]["v"]] == said["gradient"]
    assert any(one["dims"] == ["batch", "feature"] for one in trace["tensors"])
    last = trace["tensors"][trace["ops"][trace["backward"][0]["op"]]["output"]]
    assert [as_float32(one) for one in last["value"]["v"]] == said["loss"]


def check_sums(trace):
    """Contributions are numbered, their sums end in the gradient, and ops know their steps."""
    received = {}
    for index, step in enumerate(trace["backward"]):
        assert trace["ops"][step["op"]]["step"] == index
        for one in step["gives"]:
            received.setdefault(one["tensor"], []).append(one)
    for tensor, list_of in received.items():
        assert [one["nth"] for one in list_of] == list(range(1, len(list_of) + 1))
        assert {one["of"] for one in list_of} == {len(list_of)}
        assert list_of[-1]["sum"] == trace["tensors"][tensor]["gradient"]
    assert any(len(list_of) == 3 for list_of in received.values())


def check_training(folder):
    for step in [1, 2, 3]:
        trace, done = recorded("train", folder=folder, step=step)
        assert trace["step"] == step and trace["complete"] and trace["notes"] == []
        check_lines(trace)
        check_numbers(trace, done.stdout, step)
        check_sums(trace)
        assert done.stderr == ""
    model = next(stack for stack, op in ((trace["stacks"][op["stack"]], op) for op in trace["ops"])
                 if op["name"] == "linear")
    names = [trace["frames"][frame]["f"] for frame in model]
    assert names == ["main", "train", "Model::operator()", "Layer::operator()",
                     "nn::Linear::operator()"], names
    trace, _ = recorded("train", folder=folder, step=4)
    assert not trace["complete"] and trace["step"] == 0
    assert trace["ended"] == "the program ended after 3 backward passes; 4 were asked for"


def check_endings(folder):
    trace, done = recorded("throws", folder=folder, expect=-signal.SIGABRT)
    throws = next(number for number, line in enumerate(SOURCE.read_text().splitlines(), 1)
                  if "// throws" in line)
    for one in [trace["failed"]["text"], trace["ended"]]:
        assert "matmul: [3, 4] (made by exp, at program.cpp:" in one and "w [3, 4]" in one, one
    assert trace["failed"]["name"] == "matmul"
    assert user_frame(trace, trace["failed"]["stack"])["line"] == throws
    trace, done = recorded("catches", folder=folder, expect=3)
    assert trace["failed"]["text"] == done.stdout.strip()

    path = folder / "out.json"
    for number in [signal.SIGINT, signal.SIGTERM]:
        path.unlink(missing_ok=True)
        child = subprocess.Popen([PROGRAM, "waits"], env={**os.environ, "REGRAD_TRACE": str(path)},
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert child.stdout.readline() == "waits\n"
        child.send_signal(number)
        assert child.wait(20) == -number
        assert json.loads(path.read_text())["ended"] == "interrupted"


def check_limits(folder):
    start = time.monotonic()
    trace, _ = recorded("large", folder=folder)
    seconds = time.monotonic() - start
    size = (folder / "out.json").stat().st_size
    assert len(trace["ops"]) > 9000 and not trace["numbers"]
    assert "no maps" in trace["notes"][0] and "statistics only" in trace["notes"][1], trace["notes"]
    print(f"{len(trace['ops'])} ops: {size / 1e6:.1f} MB in {seconds:.1f} s")
    assert size < 16e6


def check_object(folder):
    path = folder / "object.json"
    done = subprocess.run([PROGRAM, "object", path], text=True, capture_output=True, check=True)
    assert done.stderr == ""
    trace = json.loads(path.read_text())
    assert [op["name"] for op in trace["ops"]] == ["square", "sum"]


def check_writes(folder):
    """Tensors that are written in place are shown with the numbers that the ops took."""
    trace, _ = recorded("writes", folder=folder)
    numbers = [one["value"]["v"] for one in trace["tensors"]]
    products = [op for op in trace["ops"] if op["name"] == "mul"]
    for op in products:
        a, b = (numbers[one] for one in op["inputs"])
        assert numbers[op["output"]] == [x * y for x, y in zip(a, b)], op
    square, loss = products[-2:]
    assert numbers[square["output"]] == [100] * 12 and numbers[loss["output"]] == [300] * 12
    w = trace["tensors"][square["inputs"][0]]
    assert w["name"] == "w" and w["gradient"]["v"] == [-60] * 12, w


def check_page(folder):
    path = folder / "out.html"
    done = run("train", path=path)
    assert f"regrad: wrote {path}: " in done.stderr
    page = path.read_text()
    start = page.index('id="recording"')
    text = page[page.index(">", start) + 1:page.index("</script>", start)]
    assert json.loads(text)["complete"] and "<" not in text
    assert page.lstrip().lower().startswith("<!doctype html>")


def check_refusals(folder):
    for path, why in [(folder, "is a directory"), (folder / "no" / "out.html", "No such file")]:
        done = run("train", path=path)
        assert why in done.stderr and "step 3" in done.stdout, done.stderr
        assert f"nothing is recorded: REGRAD_TRACE={path}" in done.stderr, done.stderr
    for step in ["-1", "0", "2x", "abc"]:
        done = run("train", path=folder / "out.json", step=step)
        assert f"REGRAD_TRACE_STEP={step}: must be the number of a backward pass" in done.stderr
    done = run("train", path=folder / "out.json", REGRAD_TRACE_LIBRARY="/nowhere.so")
    assert "there is no /nowhere.so" in done.stderr and "step 3" in done.stdout


def check_profile(folder):
    path = folder / "profile.json"
    subprocess.run([PROGRAM, "train"], env={**os.environ, "REGRAD_PROFILE": str(path)}, check=True,
                   capture_output=True)
    events = json.loads(path.read_text())["traceEvents"]
    names = [event["name"] for event in events]
    assert names.count("linear") == 9 and names.count("backward of linear") == 9, names
    assert names.count("backward") == 3
    linear = next(event for event in events if event["name"] == "linear")
    assert linear["args"]["output"] == "[2, 4]" and linear["args"]["flop"] == 2 * 2 * 3 * 4
    assert linear["args"]["bytes"] == 4 * (2 * 3 + 4 * 3 + 4 + 2 * 4)
    assert all(event["dur"] >= 0 and event["ph"] == "X" for event in events)
    for event in events:  # a derivative lies in its pass
        if event["name"].startswith("backward of"):
            assert any(one["name"] == "backward" and one["ts"] <= event["ts"] and
                       event["ts"] + event["dur"] <= one["ts"] + one["dur"] for one in events)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for check in [check_training, check_endings, check_limits, check_object, check_writes, check_page,
                      check_refusals, check_profile]:
            check(folder)
            print(check.__name__)


main()
