import { BridgeError } from '../../errors.ts';
import { isFields } from '../common/fields.ts';
import { KnownForm } from '../common/known-form.ts';
import type { SpeechDecoder } from '../common/speech-decoder.ts';
import { required, SERVER_EVENTS, type ServerEvent } from './wire.ts';

type AudioEvent = Extract<ServerEvent, { readonly type: 'audio' }>;

interface Known {
  readonly event: AudioEvent;
  /** Its messages have ids, by which echoes are known. */
  readonly named: boolean;
}

/** Reads the messages of one session. */
export class ServerEventReader {
  readonly #form: KnownForm<Known> | undefined;
  #last = '';

  /** @param decoder undefined: every message is read as JSON, which gives the same, and costs more */
  constructor(decoder?: SpeechDecoder) {
    this.#form = decoder && new KnownForm(decoder);
  }

  /**
   * One message; undefined for news that nobody needs, or told just before. Bytes of audio are lent, see `SpeechDecoder`.
   * Throws BAD_FRAME for nonsense.
   */
  read(text: string): ServerEvent | undefined {
    return this.#speech(text) ?? this.#any(text);
  }

  #speech(text: string): ServerEvent | undefined {
    const speech = this.#form?.speechIn(text)?.[0];
    const known = this.#form?.says;
    if (speech === undefined || known === undefined || (known.named && text === this.#last)) return undefined;
    this.#last = text;
    const { responseId, itemId, outputIndex, contentIndex } = known.event;
    return { type: 'audio', responseId, itemId, outputIndex, contentIndex, bytes: speech };
  }

  #any(text: string): ServerEvent | undefined {
    const message = parseJson(text);
    if (!isFields(message)) throw new BridgeError('BAD_FRAME', 'a message is not an object');
    const type = required(message, 'type');
    const named = message['event_id'] !== undefined;
    // The same id with other contents is a compatible server that counts badly; word for word the same is an echo.
    if (named && text === this.#last) return undefined;
    this.#last = text;
    const event = SERVER_EVENTS.get(type)?.(message);
    if (event?.type === 'audio') {
      const { type: _type, response_id, item_id, output_index, content_index, delta, ...free } = message;
      this.#form?.learn(text, { event, named }, [String(delta)], free);
    }
    return event;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new BridgeError('BAD_FRAME', `a message of ${text.length} characters is not JSON`, { cause });
  }
}
