#!/usr/bin/env python
"""Write README.md from nbs/index.ipynb, without Quarto. With --check: fail where the two disagree."""
import base64, json, re, sys
from pathlib import Path
import nbformat
from nbconvert import MarkdownExporter

root = Path(__file__).resolve().parent.parent

def readme():
    nb = nbformat.read(root/'nbs/index.ipynb', as_version=4)
    keep = []
    for c in nb.cells:
        directives = re.findall(r'^#\|\s*(\w+)', c.source, re.M) if c.cell_type == 'code' else []
        if 'hide' in directives or c.cell_type == 'raw': continue
        if c.cell_type == 'code':
            alt = re.search(r'^#\|\s*fig-alt:\s*(.+)$', c.source, re.M)
            c.metadata['alt'] = alt[1].strip() if alt else ''
            c.source = re.sub(r'^#\|.*\n?', '', c.source, flags=re.M)
            if 'echo' in directives: c.source = ''   # `#| echo: false`: the output alone
        keep.append(c)
    nb.cells, nb.metadata['language_info'] = keep, {'name': 'python'}
    body, resources = MarkdownExporter().from_notebook_node(nb)
    body = re.sub(r'```python\n\s*```\n', '', body)
    if resources.get('outputs'): raise SystemExit('index.ipynb stores pictures in its outputs; show files of nbs/images with Markdown instead')
    body = re.sub(r'\]\((?!https?:|#|/)images/', '](nbs/images/', body)
    body = re.sub(r'\]\((?!https?:|#|/|nbs/)([\w/.-]+\.ipynb)', r'](nbs/\1', body)
    return '<!-- Made from nbs/index.ipynb by `python .ci/readme.py`; edit the notebook. -->\n' + re.sub(r'\n{3,}', '\n\n', body).strip() + '\n'

PICTURES = {'images/rate_distortion.png': ('00d_quality.ipynb', 'fig-cap: "Bits per weight against error')}  # file -> notebook, and what its cell's caption begins with

def picture(nb, caption):
    "The picture that a cell of a notebook stores."
    for c in json.loads((root/'nbs'/nb).read_text(encoding='utf-8'))['cells']:
        if caption in ''.join(c['source']):
            for o in c.get('outputs', []):
                if 'image/png' in o.get('data', {}): return base64.b64decode(''.join(o['data']['image/png']))
    raise SystemExit(f'{nb} stores no picture under {caption!r}; run it and save its outputs')

if __name__ == '__main__':
    new, path = readme(), root/'README.md'
    for file, where in PICTURES.items():
        p, png = root/'nbs'/file, picture(*where)
        if '--check' not in sys.argv: p.parent.mkdir(exist_ok=True); p.write_bytes(png)
        elif not p.exists() or p.read_bytes() != png: sys.exit(f'nbs/{file} is not the picture that {where[0]} stores; run `python .ci/readme.py`')
    if '--check' in sys.argv:
        if path.read_text(encoding='utf-8') != new: sys.exit('README.md does not match nbs/index.ipynb; run `python .ci/readme.py`')
        print('README.md matches nbs/index.ipynb')
    else: path.write_text(new, encoding='utf-8')
