import type { AudioRef, Control } from '../recording/format.ts';
import { putAudio } from '../recording/payloads.ts';
import type { WireListener, WireSocket } from '../wire.ts';
import { errorOf, tellSmall } from './told.ts';

/** Audio of the recording, and its texts as they have to be now. */
export interface Source {
  audio(ref: AudioRef): Uint8Array;
  translate(text: string): string;
  /** Resolves when the call has come to this time; at once when that is past. */
  until(ms: number): Promise<void> | undefined;
}

/** Takes what the recording says that came in on one connection. */
export interface Connection {
  message(message: unknown): void;
  control(control: Control): void;
}

/** The JSON text of a message as it came. */
export function textOf(message: unknown, { audio, translate }: Source): string {
  return translate(JSON.stringify(putAudio(message, audio)));
}

/** A WebSocket of the recording: one that is dialled, or one that a carrier has opened. */
export class FedSocket implements WireSocket, Connection {
  readonly bufferedAmount = 0;
  readonly #listener: WireListener;
  readonly #source: Source;
  #state: 'connecting' | 'open' | 'closing' | 'closed';

  constructor(listener: WireListener, source: Source, state: 'connecting' | 'open') {
    this.#listener = listener;
    this.#source = source;
    this.#state = state;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  send(_text: string, flushed?: () => void): void {
    if (this.isOpen && flushed !== undefined) queueMicrotask(flushed);
  }

  ping(): void {}

  close(): void {
    if (this.#state !== 'closed') this.#state = 'closing';
  }

  terminate(): void {
    this.close();
  }

  message(message: unknown): void {
    if (this.#state !== 'closed') this.#listener.message(textOf(message, this.#source), false);
  }

  control(control: Control): void {
    if (this.#state === 'closed') return;
    switch (control.type) {
      case 'open':
        if (this.#state === 'connecting') this.#state = 'open';
        this.#listener.opened();
        break;
      case 'refused':
        this.#listener.refused(control.status, control.body);
        break;
      case 'error':
        this.#listener.failed(errorOf(control));
        break;
      case 'close':
        this.#state = 'closed';
        this.#listener.closed(control.code, control.reason);
        break;
      default:
        tellSmall(this.#listener, control);
    }
  }
}
