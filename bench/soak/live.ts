import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { SoakAsk, SoakFigures } from '../soak-bridge.ts';
import { DIALECTS } from './dialects.ts';
import { Surroundings } from './network.ts';
import { settings } from './parts.ts';
import { type Entrance, Phone } from './phone.ts';
import { fillWithEnded, PLOTS, type Plot } from './plots.ts';

/** Everything is forgotten by then; see `FORGOTTEN_MS` of the soak in memory. */
const FORGOTTEN_MS = 20 * 60_000;
/** Connections that are kept for the next request are given up by then. */
const IDLE_MS = 7_000;
const RING_EVERY_MS = 25;

/** What only a user of the bridge's process can do is left out. */
const LIVE_PLOTS = PLOTS.filter(({ operator }) => operator === undefined);
const STAYS_ON: Plot = { name: 'stays on', manner: 'stays-on', temper: 'answers' };

/** A bridge in a process of its own, with everybody around it in this one. */
export class LiveWorld {
  readonly #bridge: ChildProcess;
  readonly #around: Surroundings;
  readonly #entrance: Entrance;
  #count = 0;

  private constructor(bridge: ChildProcess, around: Surroundings, entrance: Entrance) {
    this.#bridge = bridge;
    this.#around = around;
    this.#entrance = entrance;
  }

  /** Rejects when the bridge does not start. */
  static async create(audio: 'wideband' | 'passthrough', maxCalls: number): Promise<LiveWorld> {
    const around = await Surroundings.start();
    const script = fileURLToPath(new URL('../soak-bridge.js', import.meta.url));
    const env = { ...process.env, ...settings(audio, maxCalls), ...around.settings };
    const bridge = spawn(process.execPath, ['--expose-gc', script], {
      env,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const url = await told(bridge);
    return new LiveWorld(bridge, around, around.entranceTo(String(url)));
  }

  get calls(): number {
    return this.#count;
  }

  get live(): number {
    return this.#around.phones.size;
  }

  /** What the bridge holds now, after a collection. */
  async figures(): Promise<SoakFigures> {
    return (await this.#ask('figures')) as SoakFigures;
  }

  /** Waits until all calls have ended on both sides, and lets the bridge forget them. */
  async forget(idle = false): Promise<void> {
    while (this.#around.phones.size > 0 || this.#around.modelLines > 0) await later(100);
    // Of models that nobody has dialled, because they are not asked while they fail too often.
    this.#around.tempers.length = 0;
    await later(500);
    this.#around.clock.skip(FORGOTTEN_MS);
    await this.#ask({ skipMs: FORGOTTEN_MS });
    await later(idle ? IDLE_MS : 500);
  }

  async fillWithEnded(): Promise<void> {
    await fillWithEnded(this.#entrance);
  }

  /** Keeps `atOnce` calls up for so long. */
  async churn(ms: number, atOnce: number): Promise<void> {
    const until = performance.now() + ms;
    while (performance.now() < until) {
      const plot = LIVE_PLOTS[this.#count % LIVE_PLOTS.length];
      if (plot !== undefined && this.live < atOnce) this.#ring(plot);
      await later(RING_EVERY_MS);
    }
  }

  /** `calls` calls whose callers stay on. */
  async fill(calls: number): Promise<void> {
    for (let i = 0; i < calls; i++) {
      this.#ring(STAYS_ON);
      await later(RING_EVERY_MS);
    }
  }

  hangUpAll(): void {
    for (const phone of [...this.#around.phones]) phone.hungUp();
  }

  async close(): Promise<void> {
    const gone = once(this.#bridge, 'exit');
    this.#bridge.send('stop');
    await gone;
    await this.#around.close();
  }

  #ring(plot: Plot): void {
    const dialect = DIALECTS[Math.floor(this.#count / LIVE_PLOTS.length) % DIALECTS.length];
    if (dialect === undefined) return;
    this.#count += 1;
    const phone = new Phone(this.#entrance, dialect, plot.manner, this.#count, () =>
      this.#around.phones.delete(phone),
    );
    this.#around.phones.add(phone);
    if (plot.forged === true) {
      phone.knockInVain(() => phone.hungUp());
      return;
    }
    if (plot.temper !== 'answers') this.#around.tempers.push(plot.temper);
    phone.ring();
  }

  async #ask(what: SoakAsk): Promise<unknown> {
    const answer = told(this.#bridge);
    this.#bridge.send(what);
    return await answer;
  }
}

/** The next message; rejects when the process ends instead. */
async function told(child: ChildProcess): Promise<unknown> {
  return await new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => reject(new Error(`the bridge has ended with ${code}`));
    child.once('exit', onExit);
    child.once('message', (message) => {
      child.off('exit', onExit);
      resolve(message);
    });
  });
}

export function later(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
