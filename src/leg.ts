import type { AudioFormat } from './audio/format.ts';

/** CONTRACT of a call leg: what is said on the media socket, and the media side of a call as the session sees it. */

/** What arrives on the media socket, parsed. */
export type LegEvent =
  | { readonly type: 'opened' }
  | {
      readonly type: 'started';
      readonly streamId: string;
      readonly callId: string;
      readonly params: Readonly<Record<string, string>>;
      /** Caller to bridge, and bridge to caller. `undefined`: a codec that nobody here can decode, named in `codec`. */
      readonly input: AudioFormat | undefined;
      readonly output: AudioFormat;
      /** As the carrier calls the caller's codec. */
      readonly codec: string;
      /** PCM16 whose byte order the carrier does not say. Undefined: little-endian, as everywhere in the bridge. */
      readonly byteOrder?: 'big' | 'detect' | undefined;
    }
  | {
      readonly type: 'audio';
      readonly bytes: Uint8Array;
      /** Presentation time in ms since the stream began; undefined where the carrier gives none that can be used. */
      readonly atMs: number | undefined;
      /** Place in the stream, +1 per message, where media may come out of order. */
      readonly order?: number | undefined;
    }
  | { readonly type: 'dtmf'; readonly digit: string }
  | { readonly type: 'mark'; readonly name: string }
  | { readonly type: 'cleared' }
  | { readonly type: 'stopped' }
  | { readonly type: 'carrierError'; readonly code: string; readonly message: string };

export type LegCommand =
  | { readonly type: 'audio'; readonly bytes: Uint8Array }
  | { readonly type: 'mark'; readonly name: string }
  | { readonly type: 'clear' }
  /** Only where `digitsOut` is `socket`. */
  | { readonly type: 'digits'; readonly digits: string };

/** What a message to the carrier depends on. */
export interface LegContext {
  readonly streamId: string;
  readonly output: AudioFormat;
}

/** The media side of one call as the session sees it. */
export interface CallLeg {
  readonly input: AudioFormat;
  readonly output: AudioFormat;
  /** Network time to the carrier and back in ms, from pings; 0 until the first one returned. */
  readonly roundTripMs: number;
  /** Whole frames in `output` format; the buffer may be reused when it returns. */
  play(bytes: Uint8Array): void;
  mark(name: string): void;
  clear(): void;
  /** Only where `digitsOut` is `socket`. */
  sendDigits(digits: string): void;
  close(code: number, reason: string): void;
}
