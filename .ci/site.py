#!/usr/bin/env python
"""Process every notebook for the docs site, without Quarto, and check what readers would see.

Internal links and images exist; every figure has alt text; no stored output holds a traceback, a warning or a machine's path."""
import json, re, sys
from pathlib import Path

root = Path(__file__).resolve().parent.parent
BAD = (('a traceback', r'Traceback \(most recent call last\)'), ('a warning', r'\w*Warning: |UserWarning|FutureWarning'),
       ('a machine path', r'(?<![\w.])/(?:home|root|Users|work|opt|tmp|private|mnt|var)/[\w.-]+'))

def text_of(o):
    d = o.get('data', {})
    return ''.join(''.join(v) for k, v in [('text', o.get('text', '')), *d.items()] if k.startswith('text') and 'html' not in k)

def check(path, names):
    nb, out = json.loads(path.read_text(encoding='utf-8')), []
    say = lambda i, what: out.append(f'{path.relative_to(root)}: cell {i}: {what}')
    md = [''.join(c['source']) for c in nb['cells'] if c['cell_type'] == 'markdown']
    if not md or not re.match(r'# \S', md[0]): say(0, 'the first Markdown cell has no title')
    elif '\n> ' not in md[0] and path.name != 'index.ipynb': say(0, 'the first cell has no one-line claim ("> …")')
    for i, c in enumerate(nb['cells']):
        src = ''.join(c['source'])
        if c['cell_type'] == 'markdown':
            for alt, target in re.findall(r'(!?\[[^\]]*\])\(([^)\s]+)\)', re.sub(r'```.*?```|`[^`]*`', '', src, flags=re.S)):
                if re.match(r'https?:|mailto:|#', target): continue
                p = (path.parent/target.split('#')[0]).resolve()
                if not (p.exists() or p.with_suffix('.ipynb').exists()): say(i, f'{target} does not exist')
                if alt == '![]': say(i, f'the picture {target} has no alt text')
        for o in c.get('outputs', []):
            if any(k.startswith('image/') for k in o.get('data', {})) and not re.search(r'^#\|\s*(fig-alt|hide\b|include:\s*false)', src, re.M): say(i, 'a figure without `#| fig-alt:`')
            if o['output_type'] == 'error': say(i, 'a stored error')
            for what, pat in BAD:
                if m := re.search(pat, text_of(o)): say(i, f'{what} in the output: {m[0]!r}')
    return out

def sidebar(nbs):
    "Problems of the sidebar: notebooks it lacks, and entries that lead nowhere."
    from yaml import safe_load
    def hrefs(e): return sum(map(hrefs, e.get('contents', ())), [e['href']] if 'href' in e else []) if isinstance(e, dict) else [e]
    named = hrefs(safe_load((root/'nbs/sidebar.yml').read_text(encoding='utf-8'))['website']['sidebar'])
    files, have = {h.split('#')[0] for h in named}, {str(p.relative_to(root/'nbs')) for p in nbs}
    out = [f'sidebar.yml: {h} does not exist' for h in sorted(files - have)] + [f'sidebar.yml lacks {h}' for h in sorted(have - files)]
    for h in named:
        if '#' in h and (name := h.split('#')[0]) in have:
            heads = [re.sub(r'[^a-z0-9 -]', '', l.lstrip('# ').lower()).replace(' ', '-') for c in json.loads((root/'nbs'/name).read_text(encoding='utf-8'))['cells'] if c['cell_type'] == 'markdown' for l in ''.join(c['source']).splitlines() if l.startswith('#')]
            if h.split('#')[1] not in heads: out.append(f'sidebar.yml: {name} has no heading #{h.split("#")[1]}')
    return out

def process():
    from nbdev.config import get_config
    from nbdev.quarto import nbdev_sidebar, refresh_quarto_yml
    from nbdev.serve import proc_nbs
    refresh_quarto_yml(); nbdev_sidebar.__wrapped__()
    proc_nbs()
    return Path(get_config().path('nbs_path'))

if __name__ == '__main__':
    nbs = sorted(p for p in (root/'nbs').rglob('*.ipynb') if '.ipynb_checkpoints' not in p.parts)
    process()
    problems = [x for p in nbs for x in check(p, nbs)] + sidebar(nbs)
    problems += [f'_quarto.yml names {f}, which does not exist in nbs/' for f in re.findall(r'^\s*(?:favicon|logo|css):\s*(\S+)', (root/'_quarto.yml').read_text(encoding='utf-8'), re.M) if not (root/'nbs'/f).exists()]
    lost = [str(p.relative_to(root/'nbs')) for p in nbs if not list((root/'_proc').rglob(p.stem + '.*'))]
    if lost: problems.append(f'not processed: {", ".join(lost)}')
    print(*problems, sep='\n')
    print(f'{len(nbs)} notebooks processed for the site, {len(problems)} problems')
    sys.exit(bool(problems))
