import { randomUUID } from 'node:crypto';
import { decodeG711 } from '../../../audio/g711.ts';
import { encodeWav, samplesToBytes } from '../../../audio/wav.ts';
import type { CallHandle } from '../carrier-sim.ts';
import { stereoWav } from '../recordings.ts';

/** How a recording was asked for. */
export interface RecordingTerms {
  readonly format: 'wav' | 'mp3';
  readonly channels: 'single' | 'dual';
  /** What its webhook carries besides that of the call. */
  readonly clientState: string | undefined;
}

/** A recording that is finished; times are ms since 1970. */
export interface Recording extends RecordingTerms {
  readonly id: string;
  readonly url: string;
  readonly startedMs: number;
  readonly endedMs: number;
}

interface Running extends RecordingTerms {
  readonly id: string;
  readonly baseUrl: string;
  readonly startedMs: number;
  readonly fromByte: number;
}

const FILE_PATH = /^\/recordings\/([^/]+)\/([0-9a-f-]{36})\.(wav|mp3)$/;
/** The addresses of recordings are good for so long. */
const VALID_MS = 600_000;

/** The call and the file that an address of a recording means. */
export function recordingPath(path: string): { readonly callId: string; readonly id: string } | undefined {
  const [, callId, id] = FILE_PATH.exec(path) ?? [];
  return callId === undefined || id === undefined ? undefined : { callId: decodeURIComponent(callId), id };
}

/** The recordings of one call, one at a time. */
export class Recordings {
  readonly #call: CallHandle;
  readonly #files = new Map<string, { readonly bytes: Uint8Array; readonly untilMs: number }>();
  #running: Running | undefined;

  constructor(call: CallHandle) {
    this.#call = call;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** `baseUrl` is that of the REST interface, which has the files. */
  start(terms: RecordingTerms, baseUrl: string): string {
    const id = randomUUID();
    const { clock, sent } = this.#call;
    this.#running = { ...terms, id, baseUrl, startedMs: clock.epoch(), fromByte: sent.length };
    return id;
  }

  /** Undefined when nothing is being recorded. */
  stop(): Recording | undefined {
    const running = this.#running;
    if (running === undefined) return undefined;
    this.#running = undefined;
    const { clock, sent, heard, identity } = this.#call;
    const { fromByte, baseUrl, ...terms } = running;
    const endedMs = clock.epoch();
    const both = [sent.slice(fromByte), heard.slice(fromByte)] as const;
    const bytes = terms.channels === 'dual' ? stereoWav(...both) : monoWav(...both);
    // Only what is said to be WAV is there: nothing here writes MP3.
    if (terms.format === 'wav') this.#files.set(terms.id, { bytes, untilMs: clock.now() + VALID_MS });
    const url = `${baseUrl}/recordings/${encodeURIComponent(identity.callId)}/${terms.id}.${terms.format}`;
    return { ...terms, url, endedMs };
  }

  /** The bytes of a file, as long as its address is good. */
  file(id: string): Uint8Array | undefined {
    const file = this.#files.get(id);
    return file !== undefined && this.#call.clock.now() <= file.untilMs ? file.bytes : undefined;
  }
}

/** Both sides on one channel, PCM16 at 8 kHz. Both are mu-law of one length. */
function monoWav(sent: Uint8Array, heard: Uint8Array): Uint8Array {
  const other = decodeG711('mulaw', heard);
  const mixed = decodeG711('mulaw', sent).map((sample, at) => (sample + (other[at] ?? 0)) / 2);
  return encodeWav({ encoding: 'pcm16', rate: 8000, channels: 1 }, samplesToBytes(mixed, 'pcm16'));
}
