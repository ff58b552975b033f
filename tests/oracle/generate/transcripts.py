#!/usr/bin/env python3
"""transcripts.py FROM TO: ask a real engine the command lines of every page FROM/*.txt and write what it answers to TO.

A page is one of tests/goldens/transcripts: a title, perhaps `dockerd ARGUMENTS`, and command lines (`$ docker ...`), each
with what the client printed (`out|`, `err|`) and its status unless 0. Every page begins with a fresh engine. By hand only, on the
stage of env/oracle-env.sh with its variables set (see record.sh).
"""
import os, re, shlex, subprocess, sys
from pathlib import Path

ORACLE = Path(__file__).resolve().parent.parent


def masked(text):
    return "\n".join(re.sub(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])", "<ID>", line.rstrip()) for line in text.split("\n"))


def answer(line):
    done = subprocess.run(line, shell=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    yield f"$ {line}"
    for mark, text in (("out|", done.stdout), ("err|", done.stderr)):
        for printed in masked(text).removesuffix("\n").split("\n") if text else ():
            yield f"{mark} {printed}".rstrip()
    if done.returncode:
        yield f"exit {done.returncode}"


def main(given, made):
    Path(made).mkdir(exist_ok=True)
    for page in sorted(Path(given).glob("*.txt")):
        target = Path(made) / page.name
        if target.exists():
            continue
        lines = page.read_text().split("\n")
        first = next(at for at, line in enumerate(lines) if line.startswith("$ "))
        dockerd = next((line.removeprefix("dockerd ") for line in lines[:first] if line.startswith("dockerd ")), "")
        subprocess.run(["sh", ORACLE / "env/oracle-env.sh", "reset", *shlex.split(dockerd)], check=True, stdout=subprocess.DEVNULL)
        written = lines[:first]
        for line in lines:
            if line.startswith("$ "):
                written.extend(answer(line.removeprefix("$ ")))
        target.write_text("\n".join(written) + "\n")
        print("recorded", target, flush=True)


main(*sys.argv[1:])
