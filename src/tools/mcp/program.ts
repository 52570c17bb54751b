import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve as resolvePath } from 'node:path';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import { type Cancel, type Clock, pause } from '../../clock.ts';
import { BridgeError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { settleWithin } from '../../settle.ts';
import type { McpAddress } from './address.ts';
import { deferred } from './deferred.ts';
import { Lines } from './lines.ts';
import type { Sdk } from './sdk.ts';

interface ProgramOptions {
  readonly address: Extract<McpAddress, { type: 'stdio' }>;
  readonly baseDir: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly sdk: Sdk;
}

/** Longer messages are dropped. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
const MAX_LOGGED = 500;
/** Shorter values of the environment are switches and numbers. */
const MIN_KEY = 8;
/** What a program wrote before it ended is still read, but not for ever: a child of it may hold the pipe. */
const LAST_WORDS_MS = 250;
/** A server ends by itself when its input ends. */
const INPUT_END_MS = 500;
const TERM_MS = 2000;
const POLL_MS = 50;
const HAS_GROUPS = process.platform !== 'win32';

/**
 * A server that runs as a program of ours. The SDK has a transport for this too; this one also ends what the program
 * has started, sees the end of a program whose children hold its pipes, and waits by the bridge's clock.
 *
 * The program leads a process group of its own, so that Ctrl-C on a terminal does not take it from the calls that are
 * still up.
 */
export class ProgramTransport implements Transport {
  onmessage: Transport['onmessage'];
  onclose: Transport['onclose'];
  onerror: Transport['onerror'];
  /** How the program ended, once it has. */
  ending: string | undefined;
  readonly #options: ProgramOptions;
  readonly #exited = deferred<void>();
  #child: ChildProcessWithoutNullStreams | undefined;
  #over = false;
  #knowsCalls = false;
  #stopListening: Cancel | undefined;
  #cleanUp: Promise<void> | undefined;

  constructor(options: ProgramOptions) {
    this.#options = options;
  }

  /** Resolves when the program runs. Rejects with BAD_CONFIG when it cannot be started. */
  start(): Promise<void> {
    const { address, baseDir, sdk } = this.#options;
    const cwd = resolvePath(baseDir, address.cwd ?? '.');
    const started = deferred<void>();
    const child = spawn(address.command, [...address.args], {
      cwd,
      env: { ...sdk.getDefaultEnvironment(), ...address.env },
      stdio: 'pipe',
      detached: HAS_GROUPS,
      windowsHide: true,
    });
    this.#child = child;
    child.on('spawn', () => started.resolve());
    child.on('error', (error) => {
      if (child.pid !== undefined) return;
      this.ending = cannotStart(error, address.command, cwd);
      this.#exited.resolve();
      started.reject(new BridgeError('BAD_CONFIG', this.ending));
      this.#finish();
    });
    child.on('exit', (code, signal) => this.#onExit(code, signal));
    child.on('close', () => this.#finish());
    this.#read(child);
    return started.promise;
  }

  send(message: JSONRPCMessage): Promise<void> {
    const input = this.#child?.stdin;
    if (this.#over || input === undefined || !input.writable) {
      return Promise.reject(new BridgeError('TOOL_FAILED', 'the program does not run'));
    }
    if ('method' in message && message.method === 'tools/call') this.#knowsCalls = true;
    return new Promise((resolve, reject) => {
      input.write(this.#options.sdk.serializeMessage(message), (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }

  /** Resolves when the program and all that it has started are gone; never rejects. */
  close(): Promise<void> {
    this.#finish();
    return this.#cleanUp ?? Promise.resolve();
  }

  #read(child: ChildProcessWithoutNullStreams): void {
    const { log, sdk } = this.#options;
    const output = new Lines(MAX_MESSAGE_BYTES, (line, cut) => {
      if (cut) log.warn({ maxBytes: MAX_MESSAGE_BYTES }, 'mcp server sent a message that is too large');
      else this.#onLine(line, sdk);
    });
    const complaints = new Lines(4 * MAX_LOGGED, (line) => {
      log.debug(this.#words(line), 'mcp server wrote to standard error');
    });
    child.stdout.on('data', (chunk: Buffer) => output.write(chunk));
    child.stderr.on('data', (chunk: Buffer) => complaints.write(chunk));
    child.stderr.on('end', () => complaints.end());
    // A pipe that breaks is the end of the program, which is heard of by itself.
    for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe.on('error', () => undefined);
  }

  #onLine(line: string, sdk: Sdk): void {
    if (this.#over) return;
    let message: JSONRPCMessage;
    try {
      message = sdk.deserializeMessage(line);
    } catch {
      // Programs print where they should not; the protocol goes on with the next line.
      this.#options.log.debug(
        this.#words(line),
        'mcp server wrote something else than a message to standard output',
      );
      return;
    }
    this.onmessage?.(message);
  }

  /**
   * What the program says of itself, for the log. Once it has been told something of a call, that may be a caller's
   * words; its keys may be in there from the beginning.
   */
  #words(line: string): { readonly line: string } | { readonly pii: { readonly line: string } } {
    const { env } = this.#options.address;
    const keys = Object.values(env).filter((value) => value.length >= MIN_KEY);
    const plain = keys.reduce((rest, key) => rest.replaceAll(key, '[removed]'), line).slice(0, MAX_LOGGED);
    return this.#knowsCalls ? { pii: { line: plain } } : { line: plain };
  }

  #onExit(code: number | null, signal: string | null): void {
    this.ending =
      signal === null ? `the program ended with exit code ${code}` : `the program was ended by ${signal}`;
    this.#exited.resolve();
    if (!this.#over) this.#stopListening = this.#options.clock.after(LAST_WORDS_MS, () => this.#finish());
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#stopListening?.();
    const child = this.#child;
    if (child !== undefined) this.#cleanUp = this.#end(child);
    this.onclose?.();
  }

  async #end(child: ChildProcessWithoutNullStreams): Promise<void> {
    const { clock } = this.#options;
    if (child.pid === undefined) return;
    child.stdin.end();
    await settleWithin(clock, INPUT_END_MS, [this.#exited.promise]);
    if (signalAll(child.pid, 'SIGTERM')) {
      for (let waited = 0; waited < TERM_MS && signalAll(child.pid, 0); waited += POLL_MS) {
        await pause(clock, POLL_MS);
      }
      signalAll(child.pid, 'SIGKILL');
    }
    await settleWithin(clock, TERM_MS, [this.#exited.promise]);
    for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe.destroy();
  }
}

/** Signals a program with all that it has started; false when nothing of it is left. */
function signalAll(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(HAS_GROUPS ? -pid : pid, signal);
  } catch {
    return false;
  }
}

function cannotStart(error: NodeJS.ErrnoException, command: string, cwd: string): string {
  // For a missing folder the system names the program.
  if (error.code === 'ENOENT' && !existsSync(cwd)) return `the folder ${cwd} does not exist`;
  if (error.code === 'ENOENT') return `the program ${command} was not found`;
  return `the program ${command} cannot be started (${error.code ?? error.message})`;
}
