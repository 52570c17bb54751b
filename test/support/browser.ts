import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { isRecord } from '../../src/is-record.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const START_MS = 30_000;
const REPLY_MS = 30_000;

/** The command of a browser of this machine; undefined: there is none, and PATCHCORD_BROWSER does not say that there must be. */
export function findBrowser(): string | undefined {
  const wanted = process.env['PATCHCORD_BROWSER'];
  const names = wanted === undefined || wanted === 'required' ? NAMES : [wanted];
  const found = names.find((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0);
  if (found === undefined && wanted !== undefined)
    throw new Error(`PATCHCORD_BROWSER is set, and there is no ${names.join(', ')} here`);
  return found;
}

interface Reply {
  resolve(result: Readonly<Record<string, unknown>>): void;
  reject(error: Error): void;
}

type Listener = (params: Readonly<Record<string, unknown>>, sessionId: string | undefined) => void;

/** The DevTools protocol of one browser. */
class DevTools {
  readonly #socket: WebSocket;
  readonly #replies = new Map<number, Reply>();
  readonly #listeners = new Map<string, Set<Listener>>();
  #count = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data) => this.#take(String(data)));
    socket.on('close', () => this.#fail(new Error('the browser is gone')));
    socket.on('error', (error) => this.#fail(error));
  }

  send(method: string, params: object = {}, sessionId?: string): Promise<Readonly<Record<string, unknown>>> {
    this.#count += 1;
    const id = this.#count;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${method} had no reply`)), REPLY_MS);
      const done = (): void => {
        clearTimeout(timer);
        this.#replies.delete(id);
      };
      this.#replies.set(id, {
        resolve: (result) => {
          done();
          resolve(result);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      });
      this.#socket.send(JSON.stringify({ id, method, params, sessionId }));
    });
  }

  on(event: string, listener: Listener): void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
  }

  once(event: string, sessionId: string): Promise<Readonly<Record<string, unknown>>> {
    return new Promise((resolve) => {
      const listener: Listener = (params, from) => {
        if (from !== sessionId) return;
        this.#listeners.get(event)?.delete(listener);
        resolve(params);
      };
      this.on(event, listener);
    });
  }

  #take(text: string): void {
    const message: unknown = JSON.parse(text);
    if (!isRecord(message)) return;
    const { id, method, params, result, error, sessionId } = message;
    if (typeof method === 'string') {
      const from = typeof sessionId === 'string' ? sessionId : undefined;
      for (const listener of this.#listeners.get(method) ?? [])
        listener(isRecord(params) ? params : {}, from);
      return;
    }
    const reply = this.#replies.get(Number(id));
    if (error === undefined) reply?.resolve(isRecord(result) ? result : {});
    else reply?.reject(new Error(JSON.stringify(error)));
  }

  #fail(error: Error): void {
    for (const { reject } of this.#replies.values()) reject(error);
  }
}

/** A browser without a window, of the tests' own: it has a profile of its own, and is gone when it is disposed of. */
export class Browser implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #tools: DevTools;
  readonly #profile: string;

  constructor(child: ChildProcess, tools: DevTools, profile: string) {
    this.#child = child;
    this.#tools = tools;
    this.#profile = profile;
  }

  static async start(command: string): Promise<Browser> {
    const profile = mkdtempSync(join(tmpdir(), 'patchcord-browser-'));
    const child = spawn(
      command,
      [
        '--headless=new',
        '--remote-debugging-port=0',
        `--user-data-dir=${profile}`,
        // Containers have neither what a sandbox needs nor a large shared memory.
        '--no-sandbox',
        '--disable-dev-shm-usage',
        '--disable-gpu',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--no-first-run',
        '--no-default-browser-check',
        '--mute-audio',
        '--force-color-profile=srgb',
        'about:blank',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    try {
      const socket = new WebSocket(await addressOf(child), {
        perMessageDeflate: false,
        maxPayload: 512 << 20,
      });
      await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
      return new Browser(child, new DevTools(socket), profile);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  /** Opens a page and waits until it is loaded. `dark`: as somebody sees it who likes it dark. */
  async open(
    url: string,
    options: { readonly dark?: boolean; readonly width?: number; readonly height?: number } = {},
  ): Promise<Tab> {
    const { targetId } = await this.#tools.send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await this.#tools.send('Target.attachToTarget', { targetId, flatten: true });
    const tab = new Tab(this.#tools, String(sessionId), String(targetId));
    await tab.goTo(url, options);
    return tab;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    await this.#tools.send('Browser.close').catch(() => this.#child.kill('SIGKILL'));
    await gone;
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    const timer = setTimeout(() => reject(new Error(`the browser did not start: ${said}`)), START_MS);
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`the browser ended: ${said}`)));
    child.stderr?.on('data', (data) => {
      said += String(data);
      const found = /DevTools listening on (ws:\/\/\S+)/.exec(said)?.[1];
      if (found === undefined) return;
      clearTimeout(timer);
      resolve(found);
    });
  });
}

/** One page of the browser. */
export class Tab {
  /** What was asked for beside the page itself. */
  readonly requests: string[] = [];
  /** Errors, warnings and whatever else the page complained of. */
  readonly complaints: string[] = [];
  readonly #tools: DevTools;
  readonly #session: string;
  readonly #target: string;

  constructor(tools: DevTools, session: string, target: string) {
    this.#tools = tools;
    this.#session = session;
    this.#target = target;
    this.#listen('Network.requestWillBeSent', ({ request }) => {
      if (isRecord(request)) this.requests.push(String(request['url']));
    });
    this.#listen('Runtime.consoleAPICalled', (params) => {
      if (params['type'] !== 'log') this.complaints.push(JSON.stringify(params['args']));
    });
    this.#listen('Runtime.exceptionThrown', (params) => this.complaints.push(JSON.stringify(params)));
    this.#listen('Log.entryAdded', ({ entry }) => {
      // That tests read what was drawn more often than pages do is no fault of the page.
      if (isRecord(entry) && entry['source'] !== 'rendering') this.complaints.push(JSON.stringify(entry));
    });
  }

  async goTo(
    url: string,
    options: { readonly dark?: boolean; readonly width?: number; readonly height?: number },
  ): Promise<void> {
    const { dark = false, width = 1400, height = 1000 } = options;
    for (const domain of ['Page', 'Runtime', 'Network', 'Log', 'Performance'])
      await this.send(`${domain}.enable`);
    const value = dark ? 'dark' : 'light';
    await this.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value }] });
    await this.send('Emulation.setDeviceMetricsOverride', {
      width,
      height,
      deviceScaleFactor: 1,
      mobile: false,
    });
    const loaded = this.#tools.once('Page.loadEventFired', this.#session);
    await this.send('Page.navigate', { url });
    await loaded;
    // What the page draws when it is loaded has been drawn then.
    await this.run(
      'new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => drawn(true))))',
    );
  }

  send(method: string, params: object = {}): Promise<Readonly<Record<string, unknown>>> {
    return this.#tools.send(method, params, this.#session);
  }

  /** The value of an expression in the page; promises are waited for. */
  async run(expression: string): Promise<unknown> {
    const reply = await this.send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
      userGesture: true,
    });
    if (reply['exceptionDetails'] !== undefined) throw new Error(JSON.stringify(reply['exceptionDetails']));
    return isRecord(reply['result']) ? reply['result']['value'] : undefined;
  }

  /** Waits until an expression is true, looking at every frame of the page. */
  async until(expression: string): Promise<void> {
    await this.run(`new Promise((resolve, reject) => {
      const giveUp = performance.now() + 10_000;
      const look = () => {
        if (${expression}) resolve(true);
        else if (performance.now() > giveUp) reject(new Error('never true: ' + ${JSON.stringify(expression)}));
        else requestAnimationFrame(look);
      };
      look();
    })`);
  }

  /** Presses and lets go of the mouse. */
  async click(x: number, y: number): Promise<void> {
    const at = { x, y, button: 'left', clickCount: 1 };
    await this.send('Input.dispatchMouseEvent', { ...at, type: 'mouseMoved', button: 'none' });
    await this.send('Input.dispatchMouseEvent', { ...at, type: 'mousePressed' });
    await this.send('Input.dispatchMouseEvent', { ...at, type: 'mouseReleased' });
  }

  /** Clicks into the middle of an element, scrolled into view. */
  async clickOn(selector: string): Promise<void> {
    const place = await this.run(`(() => {
      const element = document.querySelector(${JSON.stringify(selector)});
      element.scrollIntoView({ block: 'center' });
      const { left, top, width, height } = element.getBoundingClientRect();
      return { x: left + width / 2, y: top + height / 2 };
    })()`);
    if (!isRecord(place)) throw new Error(`there is no ${selector}`);
    await this.click(Number(place['x']), Number(place['y']));
  }

  /** Presses a key; `text`: what it writes. */
  async press(
    key: string,
    options: { readonly text?: string; readonly shift?: boolean } = {},
  ): Promise<void> {
    const { text = key.length === 1 ? key : undefined, shift = false } = options;
    const code = key === ' ' ? 'Space' : key;
    const at = { key, code, modifiers: shift ? 8 : 0, windowsVirtualKeyCode: key === ' ' ? 32 : 0 };
    await this.send('Input.dispatchKeyEvent', {
      ...at,
      type: 'keyDown',
      ...(text === undefined ? {} : { text }),
    });
    await this.send('Input.dispatchKeyEvent', { ...at, type: 'keyUp' });
  }

  async write(text: string): Promise<void> {
    await this.send('Input.insertText', { text });
  }

  /** A picture of what is seen, or of the whole page: PNG. */
  async picture(whole = false): Promise<Buffer> {
    const { data } = await this.send('Page.captureScreenshot', {
      format: 'png',
      captureBeyondViewport: whole,
    });
    return Buffer.from(String(data), 'base64');
  }

  /** What the page's script keeps, in bytes. */
  async heapBytes(): Promise<number> {
    const { usedSize } = await this.send('Runtime.getHeapUsage');
    return Number(usedSize);
  }

  async close(): Promise<void> {
    await this.#tools.send('Target.closeTarget', { targetId: this.#target });
  }

  #listen(event: string, listener: (params: Readonly<Record<string, unknown>>) => void): void {
    this.#tools.on(event, (params, from) => {
      if (from === this.#session) listener(params);
    });
  }
}
