#!/usr/bin/env python
"""Say which stored text outputs no longer match what a run prints; with --write, store what it prints.

    python .ci/outputs.py [--write] [--strict] [NOTEBOOK ...]

Words have to be the same, numbers to agree within 5 % (processors differ in the last bits, and rounding shows them).
Cells that time or weigh something are run and not compared. Cells marked slow, notest or eval: false are left as they are."""
import json, os, re, subprocess, sys
from pathlib import Path

root = Path(__file__).resolve().parent.parent
SKIP = re.compile(r'^#\|\s*(slow|notest|eval:\s*false)', re.M)
TIMED = re.compile(r'perf_counter|time\.time|timeit|\btime\b|bench|peak|resident|\brss\b|measure\(|seconds|latency|bandwidth|rate\(|machine\(|tokens_per_second|thread|µs|interleaved\(', re.I)
NUMBER = re.compile(r'[-+−]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?')

def text_of(outputs):
    "What a reader sees as text; progress bars and warnings on the error stream are no part of it."
    out = []
    for o in outputs:
        if o['output_type'] == 'stream' and o.get('name') != 'stderr': out.append(''.join(o['text']))
        elif 'data' in o and not any(k.startswith('image/') for k in o['data']): out.append(''.join(o['data'].get('text/markdown', o['data'].get('text/plain', ''))))
    return re.sub(r'0x[0-9a-f]+', '0x', '\n'.join(out)).strip()

def same(a, b):
    "The same words, and numbers that agree within 5 %."
    if a == b: return True
    if NUMBER.sub('#', a).split() != NUMBER.sub('#', b).split(): return False
    num = lambda s: [float(x.replace(',', '').replace('−', '-').rstrip('.')) for x in NUMBER.findall(s)]
    return all(abs(x - y) <= 0.05*max(abs(x), abs(y)) + 1e-3 for x, y in zip(num(a), num(b)))

def run_one(path, write):
    "Run a notebook in this process; print its stale cells as JSON."
    from execnb.nbio import read_nb, write_nb
    from execnb.shell import CaptureShell
    path = Path(path).resolve(); os.chdir(path.parent)
    nb, sh, stale = read_nb(path), CaptureShell(path=path.parent), []
    for i, c in enumerate(nb.cells):
        if c.cell_type != 'code' or SKIP.search(c.source): continue
        old = text_of(c.outputs)
        sh.cell(c)
        c.outputs = [o for o in c.outputs if o.get('name') != 'stderr']  # progress bars and warnings are not for readers
        if sh.exc: stale.append((i, f"failed: {type(sh.exc).__name__}: {str(sh.exc)[:300]}" if not isinstance(sh.exc, tuple) else f"failed: {sh.exc[1]}")); break
        new = text_of(c.outputs)
        if not TIMED.search(c.source + old + new) and not same(old, new): stale.append((i, f'stored {old[:120]!r}, printed {new[:120]!r}'))
    else:
        if write: write_nb(nb, path); subprocess.run(['nbdev_clean', '--fname', str(path)], check=True)
    print('STALE' + json.dumps(stale))

def main(args):
    write = '--write' in args
    paths = [Path(a) for a in args if not a.startswith('--')] or sorted((root/'nbs').rglob('*.ipynb'))
    count = failed = 0
    for p in paths:
        if '.ipynb_checkpoints' in p.parts or 'skip_exec: true' in ''.join(''.join(c['source']) for c in json.loads(p.read_text(encoding='utf-8'))['cells'][:1]): continue
        r = subprocess.run([sys.executable, __file__, '--one', str(p)] + (['--write'] if write else []), capture_output=True, text=True, timeout=1800)
        if 'STALE' not in r.stdout: print(f'{p.name}: did not run\n{r.stderr[-600:]}'); failed += 1; continue
        for i, what in json.loads(r.stdout.split('STALE')[-1]): print(f'{p.name}: cell {i}: {what}'); failed += 1
        count += 1
    print(f'{count} notebooks compared with their stored outputs, {failed} stale outputs')
    return int(failed > 0 and '--strict' in args)

if __name__ == '__main__':
    if '--one' in sys.argv: run_one(sys.argv[sys.argv.index('--one') + 1], '--write' in sys.argv)
    else: sys.exit(main(sys.argv[1:]))
