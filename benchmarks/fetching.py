"""Fetching from a loopback server, against curl and plain requests in turns; each ends with a verified SHA-256."""

import argparse
import functools
import hashlib
import http.server
import multiprocessing
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import requests

from cisflow.io import sha256
from cisflow.sources.fetch import Wanted, fetch
from cisflow.sources.mirror import Item, Mirror, fill


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder; `delay` seconds before each answer stand for a server that is far away."""

    delay = 0.0

    def do_GET(self) -> None:
        time.sleep(self.delay)
        super().do_GET()

    def log_message(self, *args: object) -> None:
        pass


def serve(folder: str, delay: float, told) -> None:
    Handler.delay = delay
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder)) as server:
        told.send(f"http://127.0.0.1:{server.server_port}")
        server.serve_forever()


def with_curl(url: str, path: Path) -> str:
    subprocess.run(["curl", "--silent", "--fail", "--output", path, url], check=True)
    return sha256(path)


def with_requests(url: str, path: Path) -> str:
    with requests.get(url, stream=True, timeout=60) as answer, path.open("wb") as file:
        for block in answer.iter_content(1 << 20):
            file.write(block)
    return sha256(path)


def with_cisflow(digest: str, url: str, path: Path) -> str:
    fetch(Wanted("large.bin", url, digest), path)
    return digest


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def one_large(url: str, digest: str, folder: Path, size: int, repeats: int) -> None:
    sides = {
        "curl": with_curl,
        "requests, blocks of 1 MiB": with_requests,
        "cisflow": functools.partial(with_cisflow, digest),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, get in sides.items():
            path = folder / "got" / "large.bin"
            path.parent.mkdir(exist_ok=True)
            found: list[str] = []
            times[name].append(seconds(lambda get=get, path=path, found=found: found.append(get(url, path))))
            assert found == [digest]
            path.unlink()
    print("| side | seconds | MB/s |\n|---|---|---|")
    for name, taken in times.items():
        median = statistics.median(taken)
        print(f"| {name} | {median:.2f} ({min(taken):.2f} to {max(taken):.2f}) | {size / median / 1e6:,.0f} |")


def many_small(url: str, folder: Path, count: int) -> None:
    print("\n| files together | seconds |\n|---|---|")
    items = [Item("small", Wanted(f"{n}.bin", f"{url}/{n}.bin"), "none") for n in range(count)]
    for parallel in (1, 4, 16):
        mirror = Mirror(folder / f"mirror-{parallel}")
        taken = seconds(lambda mirror=mirror, parallel=parallel: fill(mirror, items, parallel=parallel))
        assert len(mirror.records) == count
        print(f"| {parallel} | {taken:.2f} |")
    taken = seconds(lambda: fill(Mirror(folder / "mirror-4"), items))
    print(f"| none: all are there | {taken:.3f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--files", type=int, default=40, help="small ones, of a server that is far away")
    parser.add_argument("--delay", type=float, default=0.2, help="seconds before each answer about a small one")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = bytes(range(256)) * 4096 * args.megabytes
        (folder / "large.bin").write_bytes(data)
        for n in range(args.files):
            (folder / f"{n}.bin").write_bytes(data[:100_000])
        for delay in (0.0, args.delay):
            here, there = multiprocessing.Pipe()
            server = multiprocessing.Process(target=serve, args=(name, delay, there), daemon=True)
            server.start()
            try:
                url = here.recv()
                if delay:
                    many_small(url, folder, args.files)
                else:
                    digest = hashlib.sha256(data).hexdigest()
                    one_large(f"{url}/large.bin", digest, folder, len(data), args.repeats)
            finally:
                server.terminate()
                server.join()


if __name__ == "__main__":
    main()
