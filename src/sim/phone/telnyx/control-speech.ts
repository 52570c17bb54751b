import type { CallHandle } from '../carrier-sim.ts';
import { pause } from '../pause.ts';
import type { ControlFact } from './control-events.ts';

/** Something that the carrier plays on a call: speech or a file. */
export interface Piece {
  /** The part of the names of its events that is its own: `call.speak.started`, `call.speak.ended`. */
  readonly name: 'speak' | 'playback';
  readonly lengthMs: number;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A minute of speech has about 900 characters. */
export const SPEECH_MS_PER_CHARACTER = 65;

/** What the carrier itself plays on one call, one after the other. */
export class Speech {
  readonly #call: CallHandle;
  readonly #post: (fact: ControlFact) => void;
  readonly #waiting: Piece[] = [];
  #current: { readonly piece: Piece; readonly stop: AbortController } | undefined;

  constructor(call: CallHandle, post: (fact: ControlFact) => void) {
    this.#call = call;
    this.#post = post;
  }

  play(piece: Piece): void {
    this.#waiting.push(piece);
    this.#next();
  }

  /** Ends what is played before its time, and with `all` what would follow. */
  stop(all: boolean): void {
    if (all) this.#waiting.length = 0;
    this.#current?.stop.abort();
  }

  /** The call is over in the middle of it. */
  leave(): readonly ControlFact[] {
    this.#waiting.length = 0;
    const current = this.#current;
    this.#current = undefined;
    return current === undefined ? [] : [ended(current.piece, 'call_hangup')];
  }

  #next(): void {
    if (this.#current !== undefined) return;
    const piece = this.#waiting.shift();
    if (piece === undefined) return;
    const current = { piece, stop: new AbortController() };
    this.#current = current;
    this.#post({ type: `call.${piece.name}.started`, kind: 'progress', fields: piece.fields });
    const finish = (): void => {
      // Somebody has hung up meanwhile, which `leave` has told.
      if (this.#current !== current || this.#call.leaving.aborted) return;
      this.#current = undefined;
      this.#post(ended(piece, current.stop.signal.aborted ? 'cancelled' : 'completed'));
      this.#next();
    };
    const { clock, leaving } = this.#call;
    const stop = (): void => current.stop.abort();
    leaving.addEventListener('abort', stop, { once: true });
    pause(clock, piece.lengthMs, current.stop.signal).then(finish, () => {});
  }
}

function ended(piece: Piece, status: 'completed' | 'cancelled' | 'call_hangup'): ControlFact {
  return { type: `call.${piece.name}.ended`, kind: 'progress', fields: { ...piece.fields, status } };
}
