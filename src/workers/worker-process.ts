import { type ChildProcess, fork } from 'node:child_process';
import { Agent } from 'node:http';
import type { Socket } from 'node:net';
import { ENGINE_FLAGS } from '../engine-flags.ts';
import { BridgeError } from '../errors.ts';
import type { CallName } from './call-names.ts';
import type { Facts, Order, StartOrder, Word } from './messages.ts';

/** What a worker tells of itself. Called synchronously. */
export interface WorkerNews {
  begun(worker: WorkerProcess, name: CallName): void;
  ended(worker: WorkerProcess, name: CallName): void;
  /** It wants to know of a day, or to add to it. */
  day(worker: WorkerProcess, word: Extract<Word, { type: 'day' }>): void;
  /** Exactly once, last. Whatever it had is lost. */
  gone(worker: WorkerProcess): void;
}

/** A request to open a media stream, and the socket that it came by. */
export interface Upgrade {
  readonly socket: Socket;
  /** The request as it was sent, and what followed it. */
  readonly bytes: Uint8Array;
}

/** One process that has calls, from its start to its end. */
export class WorkerProcess {
  readonly slot: number;
  readonly socketPath: string;
  /** Keeps connections to it. */
  readonly agent = new Agent({ keepAlive: true, maxFreeSockets: 64 });
  /** Resolves when it takes requests; rejects with what it cannot begin for. */
  readonly ready: Promise<Facts>;
  /** Resolves when the process has ended. */
  readonly exited: Promise<void>;
  /** Requests on their way that may become calls. */
  inFlight = 0;
  /** Beats that it has not answered. */
  #missed = 0;
  readonly #child: ChildProcess;
  readonly #news: WorkerNews;
  readonly #questions = new Map<number, (mine: boolean) => void>();
  /** Sockets that wait for their turn: one travels at a time. */
  readonly #upgrades: Upgrade[] = [];
  #travelling: number | undefined;
  #count = 0;
  #calls = 0;
  #isUp = false;
  #isGone = false;
  #onReady: (facts: Facts) => void = () => undefined;
  #onFailed: (error: BridgeError) => void = () => undefined;
  #onDrained: () => void = () => undefined;
  #onExited: () => void = () => undefined;
  readonly #drained: Promise<void>;

  constructor(entry: URL, order: StartOrder, news: WorkerNews) {
    this.slot = order.slot;
    this.socketPath = order.socketPath;
    this.#news = news;
    this.ready = new Promise((resolve, reject) => {
      this.#onReady = resolve;
      this.#onFailed = reject;
    });
    // Whoever asks gets it; nobody has to.
    this.ready.catch(() => undefined);
    this.#drained = new Promise((resolve) => {
      this.#onDrained = resolve;
    });
    this.exited = new Promise((resolve) => {
      this.#onExited = resolve;
    });
    // Settings travel by the channel: what the process itself was given may be something else.
    const stdio = ['ignore', 'inherit', 'inherit', 'ipc'] as const;
    const execArgv = [...process.execArgv, ...ENGINE_FLAGS];
    this.#child = fork(entry, [], { serialization: 'advanced', stdio: [...stdio], execArgv });
    this.#child.on('message', (word: Word) => this.#on(word));
    this.#child.on('exit', () => {
      this.#isUp = false;
    });
    // What it has said last has been read by then.
    this.#child.on('close', () => this.#onExit());
    this.#child.on('error', () => {
      if (this.#child.pid === undefined) this.#onExit();
    });
    this.send(order);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** It takes requests. */
  get isUp(): boolean {
    return this.#isUp && !this.#isGone;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  /** Calls that are up, ring, or are being asked about, as far as is known. */
  get calls(): number {
    return this.#calls;
  }

  send(order: Order): void {
    if (this.#child.connected) this.#child.send(order, () => undefined);
  }

  /** It has not answered the last time that it was asked whether it gets to anything. */
  get isSlow(): boolean {
    return this.#missed > 0;
  }

  /** Asks whether it gets to anything; gives how often it has not answered. */
  beat(): number {
    const missed = this.#missed;
    this.#missed += 1;
    this.send({ type: 'beat' });
    return missed;
  }

  /** Whether one of these is its own; false when it is gone. */
  ask(names: readonly CallName[]): Promise<boolean> {
    if (!this.isUp) return Promise.resolve(false);
    this.#count += 1;
    const id = this.#count;
    return new Promise((resolve) => {
      this.#questions.set(id, resolve);
      this.send({ type: 'ask', id, names });
    });
  }

  /** Gives it a connection. What comes in meanwhile waits, and is given with it. */
  handOver(upgrade: Upgrade): void {
    this.#upgrades.push(upgrade);
    this.#next();
  }

  /** No new calls; resolves when the last one is over, or the process is gone. */
  async drain(): Promise<void> {
    this.send({ type: 'drain' });
    await Promise.race([this.#drained, this.exited]);
  }

  /** Ends its calls and the process. */
  async close(): Promise<void> {
    this.send({ type: 'close' });
    await this.exited;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #on(word: Word): void {
    switch (word.type) {
      case 'ready':
        this.#isUp = true;
        this.#onReady(word.facts);
        break;
      case 'failed':
        this.#onFailed(new BridgeError(word.code, word.message));
        break;
      case 'begun':
      case 'ended':
        this.#calls = word.calls;
        this.#news[word.type](this, word.name);
        break;
      case 'load':
        this.#calls = word.calls;
        break;
      case 'answer':
        this.#questions.get(word.id)?.(word.mine);
        this.#questions.delete(word.id);
        break;
      case 'taken':
        if (this.#travelling === word.id) this.#travelling = undefined;
        this.#next();
        break;
      case 'beat':
        this.#missed = 0;
        break;
      case 'drained':
        this.#onDrained();
        break;
      case 'day':
        this.#news.day(this, word);
        break;
      default:
        word satisfies never;
    }
  }

  #next(): void {
    if (this.#isGone) {
      for (const { socket } of this.#upgrades.splice(0)) socket.destroy();
      return;
    }
    while (this.#travelling === undefined) {
      const upgrade = this.#upgrades.shift();
      if (upgrade === undefined) return;
      // Whoever has given up meanwhile has nothing to be handed over.
      if (!upgrade.socket.destroyed) this.#give(upgrade);
    }
  }

  #give({ socket, bytes }: Upgrade): void {
    this.#count += 1;
    const id = this.#count;
    const late: Buffer | null = socket.read();
    stopReading(socket);
    this.#travelling = id;
    const all = late === null ? bytes : Buffer.concat([bytes, late]);
    // In one go with the above: what comes from here on is read by the other process.
    this.#child.send({ type: 'upgrade', id, bytes: all } satisfies Order, socket, {}, (error) => {
      if (error !== null) socket.destroy();
    });
  }

  #onExit(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#onFailed(new BridgeError('INTERNAL', 'a worker process has ended before it could begin'));
    for (const answer of this.#questions.values()) answer(false);
    this.#questions.clear();
    this.agent.destroy();
    this.#next();
    this.#onExited();
    this.#news.gone(this);
  }
}

/**
 * A socket that is given away is read by the system on both sides until the other one says that it has it. Pausing the
 * stream does not help: it fills its buffer all the same.
 */
function stopReading(socket: Socket): void {
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readStop?(): unknown } | null };
  handle?.readStop?.();
}
