import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Env } from '../../src/config.ts';
import { type OpenAiSimulator, startOpenAiSimulator } from '../../src/sim/openai.ts';
import { type CallOptions, type Exchange, type SimulatedCall, startExchange } from '../../src/sim/phone.ts';
import { type Folder, makeFolder } from './agents-folder.ts';
import { SECRET, STYLES, type Style } from './carrier-styles.ts';
import { emitModules } from './emit-modules.ts';
import { type Script, scriptedModel } from './scripted-model.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
type Json = Readonly<Record<string, unknown>>;
type LogLine = Json & { readonly msg: string };

/** The command as it is installed, in a folder of its own. */
export function makeHome(): string {
  const home = mkdtempSync(join(tmpdir(), 'workers-'));
  emitModules(join(home, 'dist'), ['src/cli.ts', 'src/workers/entry.ts']);
  for (const name of ['node_modules', 'fixtures', 'web', 'package.json'])
    symlinkSync(join(ROOT, name), join(home, name));
  return home;
}

export interface WorkersOptions {
  readonly home: string;
  readonly agents: string;
  readonly env?: Env;
  readonly model?: Script;
  readonly workers?: number;
  readonly args?: readonly string[];
}

/** `serve --workers` in processes of its own, with one exchange for every kind of carrier and a model with a script. */
export class WorkersService implements AsyncDisposable {
  readonly log: LogLine[] = [];
  readonly exchanges = new Map<string, Exchange>();
  openai!: OpenAiSimulator;
  child!: ChildProcess;
  url = '';
  readonly folder: Folder;
  readonly #waiting = new Set<() => void>();

  private constructor(agents: string) {
    this.folder = makeFolder({ 'agents.yaml': agents });
  }

  static async start(options: WorkersOptions): Promise<WorkersService> {
    const service = new WorkersService(options.agents);
    try {
      await service.#start(options);
      return service;
    } catch (thrown) {
      await service[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  /** Somebody calls. */
  dial(style: Style, options: Partial<CallOptions> = {}): SimulatedCall {
    const { carrier, route, name } = style;
    const exchange = this.exchanges.get(name);
    if (exchange === undefined) throw new Error(`there is no exchange for ${name}`);
    return exchange.placeCall({
      webhookUrl: `${this.url}/${route}/${carrier}`,
      statusCallbackUrl: `${this.url}/status/${carrier}`,
      from: '+15550100123',
      to: '+15550100200',
      ...options,
    });
  }

  /** A call that is up, whose caller hears the agent. */
  async heard(style: Style, options: Partial<CallOptions> = {}): Promise<SimulatedCall> {
    const call = this.dial(style, options);
    await call.streaming;
    await call.untilHeard(20);
    return call;
  }

  /** The number of the worker that has a call. */
  async workerOf({ callId }: SimulatedCall): Promise<unknown> {
    const line = await this.logged('call answered', (one) => one['callId'] === callId);
    return line['worker'];
  }

  /** The newest process of a worker. */
  pidOf(worker: unknown): number {
    const lines = this.log.filter(({ msg, ...one }) => msg === TAKES_CALLS && one['worker'] === worker);
    return Number(lines.at(-1)?.['pid']);
  }

  /** Kills the process of a worker, as the system does when it runs out of memory; resolves when another one has taken its place. */
  async kill(worker: unknown): Promise<void> {
    const pid = this.pidOf(worker);
    process.kill(pid, 'SIGKILL');
    await this.logged(TAKES_CALLS, (one) => one['worker'] === worker && one['pid'] !== pid);
  }

  async api(method: string, path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}) {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { authorization: 'Bearer operator', 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      body: (text === '' ? {} : JSON.parse(text)) as Json,
    };
  }

  /** The value of a series, or the sum of all series of a figure. */
  async figure(name: string): Promise<number> {
    const response = await fetch(`${this.url}/metrics`, { headers: { authorization: 'Bearer operator' } });
    const found = (await response.text()).split('\n').filter((line) => /^[ {]/.test(line.slice(name.length)));
    const own = found.filter((line) => line.startsWith(name));
    return own.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  /** Resolves when there is a line of the log that begins with a text. */
  logged(text: string, accept: (line: LogLine) => boolean = () => true): Promise<LogLine> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = this.log.find((line) => line.msg.startsWith(text) && accept(line));
        if (found === undefined) return;
        this.#waiting.delete(look);
        resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Resolves to how the process has ended. */
  exit(): Promise<unknown[]> {
    const { exitCode, signalCode } = this.child;
    return exitCode === null && signalCode === null
      ? once(this.child, 'exit')
      : Promise.resolve([exitCode, signalCode]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.child as ChildProcess | undefined;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
    }
    await Promise.all([...this.exchanges.values()].map((exchange) => exchange[Symbol.asyncDispose]()));
    await (this.openai as OpenAiSimulator | undefined)?.close();
    this.folder[Symbol.dispose]();
  }

  async #start({ home, env, model = [], workers = 2, args = [] }: WorkersOptions): Promise<void> {
    const carriers: Env[] = [];
    for (const style of STYLES) {
      const exchange = await startExchange({
        carrier: style.carrier,
        defaults: { authToken: SECRET, keepAudio: false, ...style.call },
      });
      this.exchanges.set(style.name, exchange);
      carriers.push(style.env(SECRET, exchange.restBaseUrl ?? ''));
    }
    const respond = scriptedModel(model, (sentence) => (sentence === GREETING ? 60_000 : 300));
    this.openai = await startOpenAiSimulator({ firstAudioMs: 20, respond });
    const command = [join(home, 'dist/src/cli.js'), 'serve', '--workers', String(workers), ...args];
    this.child = spawn(process.execPath, command, {
      cwd: home,
      env: {
        PORT: '0',
        HOST: '127.0.0.1',
        API_TOKEN: 'operator',
        LAST_RESORT_SAY: LAST_RESORT,
        OPENAI_BASE_URL: this.openai.url,
        OPENAI_API_KEY: 'sk-simulated',
        AGENTS_FILE: this.folder.at('agents.yaml'),
        DATA_DIR: this.folder.at('data'),
        ...Object.assign({}, ...carriers),
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { stdout, stderr } = this.child;
    if (stdout === null || stderr === null) throw new Error('the process has no output');
    createInterface({ input: stderr }).on('line', (line) => this.#read(line));
    const [line] = await Promise.race([
      once(createInterface({ input: stdout }), 'line'),
      once(this.child, 'exit').then(() => {
        throw new Error(`the service has ended: ${JSON.stringify(this.log)}`);
      }),
    ]);
    this.url = String(line).replace('listening on ', '');
  }

  #read(line: string): void {
    this.log.push(line.startsWith('{') ? JSON.parse(line) : { msg: line });
    for (const look of [...this.#waiting]) look();
  }
}

/** What callers hear when nothing is left. */
export const LAST_RESORT = 'Our assistant is away. Please call again.';
const GREETING = 'This is a very long story.';
/** An agent who speaks for as long as nobody interrupts. */
export const AGENTS = `
agents:
  talker: { instructions: You talk., greeting: "${GREETING}", silence: false }
numbers:
  - { number: "*", agent: talker }
`;
const TAKES_CALLS = 'a worker process takes calls';
