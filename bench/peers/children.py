"""The programs that compare.py times in turn: one process each, which answers requests."""
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


# What keeps each program to AVX2 on a machine that has more.
AVX2 = {"REGRAD_CPU": "avx2", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2",
        "DNNL_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "OPENBLAS_CORETYPE": "Zen",
        "BLIS_ARCH_TYPE": "zen2", "LIBXSMM_TARGET": "hsw"}


def environment(threads):
    """So many threads for everybody, and no thread of one program in the other's way."""
    count = str(threads)
    return dict(os.environ, REGRAD_NUM_THREADS=count, OMP_NUM_THREADS=count,
                OPENBLAS_NUM_THREADS=count, MKL_NUM_THREADS=count, BLIS_NUM_THREADS=count)


def one_core(threads):
    """With one thread, every program runs on the same core: none is moved about by the system."""
    core = min(os.sched_getaffinity(0))
    return (lambda: os.sched_setaffinity(0, {core})) if threads == 1 else None


class Child:
    """A program that is asked one line and answers one line."""

    def __init__(self, command, threads):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1, cwd=ROOT, env=environment(threads),
                                        preexec_fn=one_core(threads))

    def ask(self, request):
        self.process.stdin.write(request + "\n")
        answer = self.process.stdout.readline().strip()
        if not answer or answer.startswith("error"):
            raise RuntimeError(f"{self.process.args[0]}: {request}: {answer or 'it ended'}")
        return answer

    def numbers(self, request):
        words = self.ask(request).split()
        return {words[i]: float(words[i + 1]) for i in range(0, len(words) - 1, 2)}

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def regrad(build, family, threads):
    return Child([str(ROOT / build / "bench" / "peers"), "--serve", family], threads)


def torch(family, threads):
    return Child([sys.executable, str(ROOT / "bench/peers/torch_cases.py"), "--serve", family,
                  "--threads", str(threads)], threads)


def torch_flags():
    """How to compile against the PyTorch of this python3; None where there is none."""
    try:
        import torch as module
    except ImportError:
        return None
    folder = pathlib.Path(module.__file__).parent
    library = folder / "lib"
    return ([f"-I{folder}/include", f"-I{folder}/include/torch/csrc/api/include",
             f"-D_GLIBCXX_USE_CXX11_ABI={int(module._C._GLIBCXX_USE_CXX11_ABI)}"],
            [f"-L{library}", f"-Wl,-rpath,{library}", "-ltorch_cpu", "-lc10"])


def libtorch(build):
    """torch_overhead.cpp, compiled on first use; None without PyTorch's headers."""
    flags = torch_flags()
    source, binary = ROOT / "bench/peers/torch_overhead.cpp", ROOT / build / "torch_overhead"
    if flags is None:
        return None
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        print("compiling torch_overhead.cpp (a minute)", file=sys.stderr)
        subprocess.run(["c++", "-O2", "-std=c++20", f"-I{ROOT}", *flags[0], str(source), "-o",
                        str(binary), "-Wl,--no-as-needed", *flags[1]], check=True)
    return Child([str(binary)], 1)
