import type { Fields } from './fields.ts';
import type { SpeechDecoder } from './speech-decoder.ts';
import { Stencil } from './stencil.ts';

/** So often in a row a form may be learned in vain before nothing more is learned: some servers may have none. */
const MOST_IN_VAIN = 32;

/**
 * The form of the messages that bring speech, as one session of a server sends them: fifty times a second the same but for
 * the speech. `T`: what else such a message says.
 */
export class KnownForm<T> {
  readonly #decoder: SpeechDecoder;
  #stencil: Stencil | undefined;
  #says: T | undefined;
  #written: readonly string[] = [];
  #inVain = 0;

  constructor(decoder: SpeechDecoder) {
    this.#decoder = decoder;
  }

  /** What a message of the known form says beside its speech; of no other is it known. */
  get says(): T | undefined {
    return this.#says;
  }

  /** The base64 of what `speechIn` gave last. */
  get written(): readonly string[] {
    return this.#written;
  }

  /**
   * The speech in a text of the known form, piece by piece; undefined: it has to be read as JSON, whatever it is. The bytes
   * are lent, see `SpeechDecoder`.
   */
  speechIn(text: string): readonly Uint8Array[] | undefined {
    const pieces = this.#stencil?.match(text);
    if (pieces === undefined) return undefined;
    this.#inVain = 0;
    this.#written = pieces;
    return this.#decoder.decode(pieces);
  }

  /** `text` was read as JSON, and brings speech. See `Stencil.of`. */
  learn(text: string, says: T, speech: readonly string[], free: Fields): void {
    if (this.#inVain >= MOST_IN_VAIN) return;
    this.#inVain += 1;
    this.#stencil = Stencil.of(text, speech, free);
    this.#says = says;
  }
}
