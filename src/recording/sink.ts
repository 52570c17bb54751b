import type { AudioFormat } from '../audio/format.ts';
import type { AudioRef, CallFile, Line, RecordingEnd } from './format.ts';

/**
 * CONTRACT of what takes the recording of one call. Nothing here throws, rejects or waits: what cannot be kept is
 * dropped, and the end of the recording says so. Buffers are only valid during the call.
 */
export interface CallSink {
  /**
   * Appends audio to `<wav>.wav`, which is begun in this format when it is first used. `wav` is one of `WAVS`, from the
   * second connection on with `-2` and so on. Where a message of 16-bit audio ends within a sample, `at` and `n` have a
   * half. Undefined: nothing is taken any more, or not under this name and in this format.
   */
  audio(wav: string, format: AudioFormat, bytes: Uint8Array): AudioRef | undefined;
  /** Appends to events.jsonl. What the line holds may change afterwards. */
  line(line: Line): void;
  /** Appends to call.wav: the left channel is what the caller said, the right one what the caller heard, interleaved. */
  stereo(format: AudioFormat, bytes: Uint8Array): void;
  /** Appends to transcript.txt, which is read by people. */
  transcript(text: string): void;
  /** Writes call.json again, with what is known now; an `end` in it does not count. */
  describe(call: CallFile): void;
  /** Nothing more will come. Idempotent; resolves when everything is written, or when that takes too long. */
  finish(end: RecordingEnd): Promise<void>;
}

/** Names that WAV files of messages have, without `.wav`. */
const WAV_NAME = /^[a-z][a-z0-9]{0,30}(?:-[1-9][0-9]{0,3})?$/;

/** Whether a WAV file of messages may have this name (without `.wav`); `call.wav` is another kind of file. */
export function isWavName(name: string): boolean {
  return WAV_NAME.test(name) && name !== 'call';
}
