#!/usr/bin/env python
"""Drive the chat box and the explorer in a real JupyterLab, in a headless Chromium.

Slow, and not a part of the test suite. Set-up on Debian, in the project's environment:
    apt-get install -y chromium chromium-driver
    pip install -r .ci/browser_requirements.txt
Then: python .ci/browser_test.py [--out DIR]      (screenshots; default: a temporary directory)
The server listens on 127.0.0.1 only, with a token of its own; server, browser and their files are gone at the end."""
import argparse, json, os, secrets, shutil, signal, socket, subprocess, sys, tempfile, time, urllib.request
from contextlib import contextmanager
from pathlib import Path
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

WAIT = 240  # seconds; a first run compiles kernels
FLAGS = ('--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
         '--disable-sync', '--disable-dev-shm-usage', '--window-size=1280,900', '--force-device-scale-factor=1.25')
CHAT = """
import copy, torch
from qins_intllm.chat import ChatSession
from qins_intllm.phi3 import load_dense
from qins_intllm.swap import quantize_
from qins_intllm.widgets import chat_box
dense, tok = load_dense(dtype=torch.float32)
model = copy.deepcopy(dense)
quantize_(model)
sessions = {'full precision': ChatSession(dense, tok, temperature=0, max_new_tokens=40), 'qins8': ChatSession(model, tok, temperature=0, max_new_tokens=40)}
box = chat_box(sessions)
box
"""
LONG = "for s in sessions.values(): s.max_new_tokens, s.stop_ids = 450, set()\nprint('long answers')"
EXPLORE = "from qins_intllm.widgets import explorer\nexplorer(layer='model.layers.1.mlp.down_proj')"

def notebook(path, *cells):
    cell = lambda i, s: dict(cell_type='code', id=f'c{i}', metadata={}, source=s.strip(), execution_count=None, outputs=[])
    path.write_text(json.dumps(dict(cells=[cell(i, s) for i, s in enumerate(cells)], nbformat=4, nbformat_minor=5,
                                    metadata=dict(kernelspec=dict(name='python3', display_name='Python 3', language='python')))))

@contextmanager
def jupyter(root, log):
    "A JupyterLab on loopback; yields a function from a notebook's name to its address."
    with socket.socket() as s: s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]
    token = secrets.token_hex(16)
    env = os.environ | {k: str(root/'.jupyter'/k) for k in ('JUPYTER_CONFIG_DIR', 'JUPYTER_RUNTIME_DIR', 'JUPYTER_DATA_DIR', 'IPYTHONDIR')}
    command = [sys.executable, '-m', 'jupyterlab', '--no-browser', '--allow-root', '--ip=127.0.0.1', f'--port={port}', '--ServerApp.port_retries=0', f'--IdentityProvider.token={token}',
               f'--ServerApp.root_dir={root}', '--expose-app-in-browser', '--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate']
    quiet = root/'.jupyter/JUPYTER_CONFIG_DIR/labconfig'; quiet.mkdir(parents=True)
    (quiet/'page_config.json').write_text(json.dumps(dict(disabledExtensions={'@jupyterlab/apputils-extension:announcements': True})))
    p = subprocess.Popen(command, cwd=root, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        for _ in range(WAIT):
            if p.poll() is not None: raise SystemExit(f'JupyterLab ended with code {p.returncode}')
            try: urllib.request.urlopen(f'http://127.0.0.1:{port}/api?token={token}', timeout=5); break
            except OSError: time.sleep(1)
        yield lambda name: f'http://127.0.0.1:{port}/doc/tree/{name}?token={token}'
    finally:
        os.killpg(p.pid, signal.SIGINT); time.sleep(1); os.killpg(p.pid, signal.SIGTERM)
        try: p.wait(20)
        except subprocess.TimeoutExpired: os.killpg(p.pid, signal.SIGKILL)

@contextmanager
def chromium(profile):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which('chromium') or shutil.which('google-chrome') or sys.exit('chromium is not installed')
    for f in (*FLAGS, f'--user-data-dir={profile}'): options.add_argument(f)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which('chromedriver') or sys.exit('chromedriver is not installed')))
    try: yield driver
    finally: driver.quit()

class Page:
    "A notebook in the browser."
    def __init__(self, driver, url, out): self.d, self.out = driver, out; driver.get(url)
    def until(self, what, f, t=WAIT):
        try: return WebDriverWait(self.d, t, poll_frequency=.1, ignored_exceptions=(Exception,)).until(lambda _: f())
        except Exception: self.shot('failed'); raise SystemExit(f'FAILED: {what}; the page says:\n{self.text()[-1500:]}')
    def all(self, css): return [e for e in self.d.find_elements(By.CSS_SELECTOR, css) if e.is_displayed()]
    def one(self, css): return self.until(f'{css} is there', lambda: self.all(css)[0])
    def text(self, css='body'): return self.d.find_element(By.CSS_SELECTOR, css).text
    def button(self, name): return self.until(f'a button {name}', lambda: next(b for b in self.all('button.jupyter-button') if name in b.text))
    def command(self, name): self.d.execute_script('window.jupyterapp.commands.execute(arguments[0])', name)  # does not wait for its promise
    def run(self, cell=0):
        ready = 'const p = window.jupyterapp.shell.currentWidget; return p && p.sessionContext && p.sessionContext.session && p.sessionContext.session.kernel.status'
        self.until('the kernel is idle', lambda: self.d.execute_script(ready) == 'idle')
        self.d.execute_script("window.jupyterapp.shell.currentWidget.content.activeCellIndex = arguments[0]", cell)
        self.command('notebook:run-cell')
    def dark(self, on=True):
        self.d.execute_script('window.jupyterapp.commands.execute("apputils:change-theme", {theme: arguments[0]})', 'JupyterLab Dark' if on else 'JupyterLab Light')
        time.sleep(2)
    def shot(self, name): self.d.save_screenshot(str(self.out/f'{name}.png'))

def ok(what): print('ok  ', what, flush=True)

def test_chat(page):
    page.run()
    ask = page.one('input[placeholder^="Say something"]')
    page.until('an empty conversation', lambda: 'Nothing has been said yet' in page.text('.qins-chat'))
    ask.send_keys('What news from Rome?', Keys.ENTER)
    page.until('two answers with their figures', lambda: len([e for e in page.all('.qins-a .qins-stats') if 'tokens/s' in e.text and 'MB resident' in e.text]) == 2)
    page.until('the question above, and an empty input line', lambda: (ask.get_attribute('value'), page.all('.qins-q')[0].text) == ('', 'What news from Rome?'))
    ok('a question is answered by both models, side by side')
    said = page.until('a word on the difference', lambda: next(e.text for e in page.all('[role=status]') if 'differ first at token' in e.text or 'All tokens are the same' in e.text))
    marks = len(page.all('.qins-a mark'))
    assert marks == (2 if 'differ' in said else 0), (marks, said)
    ok(f'the first differing token: {said}')
    left, right = page.all('.qins-a')[:2]
    assert left.location['y'] == right.location['y'] and right.location['x'] >= left.location['x'] + left.size['width']
    ask.send_keys('<b>And</b> what of the king?'); page.button('Send').click()
    page.until('the second answer', lambda: len(page.all('.qins-a .qins-stats')) == 4)
    assert '<b>And</b>' in page.text('.qins-chat')
    ok('Send does what Enter does, and markup stays text')
    page.shot('chat')
    for i in range(5):
        ask.send_keys(f'Speak! {i}', Keys.ENTER)
        page.until('one more answer', lambda: len([e for e in page.d.find_elements(By.CSS_SELECTOR, '.qins-a .qins-stats')]) == 2*(i + 3))
    box = page.one('.qins-chat')
    assert page.d.execute_script('return arguments[0].scrollHeight > arguments[0].clientHeight', box), 'the conversation is not long enough to scroll'
    last, frame = page.all('.qins-a')[-1].rect, box.rect
    assert last['y'] + last['height'] <= frame['y'] + frame['height'], (last, frame)
    ok('a long conversation scrolls, and shows its end')
    page.shot('chat-long')
    page.dark()
    page.shot('chat-dark')
    page.dark(False)

def test_stop(page):
    page.run(1)
    page.until('long answers', lambda: 'long answers' in [e.text for e in page.all('.jp-OutputArea-output pre')])
    page.button('Reset').click()
    page.until('an empty conversation', lambda: 'Nothing has been said yet' in page.text('.qins-chat'))
    ok('Reset empties the conversation')
    page.one('input[placeholder^="Say something"]').send_keys('What news from Rome?', Keys.ENTER)
    seen = [page.until('a piece of the answer', lambda: page.all('.qins-a')[0].text.partition('\n')[2])]
    seen.append(page.until('more of it', lambda: (t := page.all('.qins-a')[0].text.partition('\n')[2]) != seen[0] and t))
    assert seen[1].startswith(seen[0]), seen
    ok('the answer streams')
    page.shot('chat-streaming')
    page.button('Stop').click()
    page.until('the answer has stopped', lambda: page.all('.qins-a .qins-stats')[0].text.endswith(', stopped') and page.button('Stop').get_attribute('disabled'), 30)
    ok('Stop ends it: ' + page.all('.qins-a .qins-stats')[0].text)
    page.shot('chat-stopped')

def test_explorer(page):
    page.run()
    pictures = lambda: [e.get_attribute('src') for e in page.all('img[alt^="table, histogram"]')]
    first = page.until('a picture', lambda: pictures()[0])
    line = lambda: next(e.text for e in page.all('[role=status]') if 'bits per weight' in e.text)
    page.shot('explorer')
    assert 'qins8' in line()
    Select(page.all('.widget-dropdown select')[1]).select_by_visible_text('qins9')
    second = page.until('another picture', lambda: pictures()[0] != first and pictures()[0])
    page.until('the figures of qins9', lambda: line().startswith('qins9'))
    ok('a scheme is chosen: ' + line())
    handle, before = page.one('.noUi-handle'), line()
    for _ in range(15): handle.send_keys(Keys.ARROW_RIGHT)
    page.until('a larger error', lambda: pictures()[0] != second and line() != before)
    time.sleep(3)
    ok('an outlier is made: ' + line())
    page.shot('explorer-outlier')
    page.dark()
    page.shot('explorer-dark')
    Select(page.all('.widget-dropdown select')[0]).select_by_index(2)
    page.until('another layer', lambda: Select(page.all('.widget-dropdown select')[0]).first_selected_option.text.split()[0] in page.one('img[alt^="table, histogram"]').get_attribute('alt'))
    ok('another layer is chosen')

def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('terminated'))  # so that the server ends, too
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('--out', type=Path, help='directory for screenshots')
    out = a.parse_args().out or Path(tempfile.mkdtemp(prefix='qins-browser-'))
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as tmp, open(out/'jupyter.log', 'w') as log:
        root = Path(tmp)/'notebooks'; root.mkdir()
        notebook(root/'chat.ipynb', CHAT, LONG); notebook(root/'explorer.ipynb', EXPLORE)
        with jupyter(root, log) as url, chromium(Path(tmp)/'profile') as driver:
            page = Page(driver, url('chat.ipynb'), out)
            test_chat(page); test_stop(page)
            test_explorer(Page(driver, url('explorer.ipynb'), out))
    print(f'all passed; screenshots in {out}')

if __name__ == '__main__': main()
