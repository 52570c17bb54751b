import type { Clock } from '../../src/clock.ts';
import type { Network, WireListener, WireSocket } from '../../src/wire.ts';

/** What a model does with a call. */
export type Temper =
  /** Answers every turn. */
  | 'answers'
  /** Calls a function first, and answers with its result. */
  | 'calls'
  /** Calls one that does not return before the call is over. */
  | 'calls-slow'
  /** Says goodbye and ends the call. */
  | 'ends'
  /** Its connection breaks in mid-sentence. */
  | 'dies'
  /** Its connection is refused. */
  | 'refuses'
  /** Hears the caller and says nothing. */
  | 'mute';

/** Names of functions that the model calls. */
export const QUICK = 'look_up';
export const SLOW = 'ask_colleague';

const DIAL_MS = 20;
const THINK_MS = 120;
const DELTA_MS = 100;
/** Faster than it is heard. */
const DELTA_EVERY_MS = 40;
const ANSWER_MS = 1200;
const QUIET_ENDS_MS = 400;
const WORDS = 'Yes, that can be done at any time of the day.';

type Message = Readonly<Record<string, unknown>>;

interface Response {
  readonly id: string;
  readonly itemId: string;
  readonly token: unknown;
  leftMs: number;
}

/** Models that are dialled in memory, and speak as much of the OpenAI protocol as a call needs. */
export class Models {
  readonly #clock: Clock;
  /** Connections that are open or being made. */
  readonly open = new Set<ModelLine>();
  /** What the next one that is dialled is like; then it is `answers` again. */
  next: Temper = 'answers';
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get dialled(): number {
    return this.#count;
  }

  readonly network: Network = {
    dial: (_url, _options, listener) => {
      this.#count += 1;
      const temper = this.next;
      this.next = 'answers';
      const line = new ModelLine(this.#clock, listener, temper, this.#count, () => this.open.delete(line));
      this.open.add(line);
      return line;
    },
    stream: () => {
      throw new Error('these models have no event streams');
    },
  };
}

/** One connection; `listener` is told what the model says. */
export class ModelLine implements WireSocket {
  readonly bufferedAmount = 0;
  readonly #clock: Clock;
  readonly #listener: WireListener;
  readonly #temper: Temper;
  readonly #name: string;
  readonly #onGone: () => void;
  #state: 'connecting' | 'open' | 'closing' | 'closed' = 'connecting';
  #ids = 0;
  #delta = '';
  #response: Response | undefined;
  #userItem = '';
  #heardMs = 0;
  #quietMs = 0;
  #speaking = false;
  #turns = 0;

  constructor(clock: Clock, listener: WireListener, temper: Temper, number: number, onGone: () => void) {
    this.#clock = clock;
    this.#listener = listener;
    this.#temper = temper;
    this.#name = String(number);
    this.#onGone = onGone;
    clock.after(DIAL_MS, () => this.#open());
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  send(text: string, flushed?: () => void): void {
    if (!this.isOpen) return;
    if (flushed !== undefined) queueMicrotask(flushed);
    if (text.includes('"input_audio_buffer.append"')) this.#hear(text);
    else this.#take(JSON.parse(text));
  }

  ping(data = ''): void {
    if (this.isOpen) this.#clock.after(1, () => this.isOpen && this.#listener.pong(data));
  }

  close(code = 1000): void {
    if (this.#state === 'closed' || this.#state === 'closing') return;
    this.#state = 'closing';
    this.#clock.after(2, () => this.#gone(code));
  }

  terminate(): void {
    this.close(1006);
  }

  #open(): void {
    if (this.#state !== 'connecting') return;
    if (this.#temper === 'refuses') {
      this.#listener.refused(503, '{"error":{"message":"busy"}}');
      this.#gone(1006);
      return;
    }
    this.#state = 'open';
    this.#listener.opened();
    this.#tell({
      type: 'session.created',
      session: { id: `sess_${this.#name}`, object: 'realtime.session' },
    });
  }

  #gone(code: number): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#onGone();
    this.#listener.closed(code, '');
  }

  #tell(message: Message): void {
    if (this.isOpen)
      this.#listener.message(JSON.stringify({ event_id: `event_${this.#id()}`, ...message }), false);
  }

  #id(): string {
    this.#ids += 1;
    return `${this.#name}_${this.#ids}`;
  }

  #take(message: Message): void {
    switch (message['type']) {
      case 'session.update':
        this.#configure(fieldsOf(message['session']));
        break;
      case 'response.create':
        this.#clock.after(THINK_MS, () => this.#speak(fieldsOf(message['response'])));
        break;
      case 'response.cancel':
        this.#stop('cancelled', 'client_cancelled');
        break;
      case 'conversation.item.create':
        this.#tell({ type: 'conversation.item.added', previous_item_id: null, item: message['item'] });
        break;
      default:
    }
  }

  #configure(session: Message): void {
    const format = fieldsOf(fieldsOf(fieldsOf(session['audio'])['output'])['format']);
    const bytes = DELTA_MS * (format['type'] === 'audio/pcm' ? 48 : 8);
    this.#delta = Buffer.alloc(bytes, 0x2a).toString('base64');
    this.#clock.after(5, () => this.#tell({ type: 'session.updated', session }));
  }

  /** The shortest ear: what is not silence to the byte is speech. */
  #hear(text: string): void {
    const at = text.indexOf('"audio":"') + 9;
    const length = text.lastIndexOf('"') - at;
    const middle = at + ((length >> 1) & ~3);
    const piece = text.slice(middle, middle + 8);
    const ms = ((length / 4) * 3) / (this.#delta.length > 2000 ? 48 : 8);
    this.#heardMs += ms;
    const isSpeech = piece !== '////////' && piece !== 'AAAAAAAA';
    this.#quietMs = isSpeech ? 0 : this.#quietMs + ms;
    if (isSpeech && !this.#speaking) this.#speechStarted();
    else if (this.#speaking && this.#quietMs >= QUIET_ENDS_MS) this.#speechStopped();
  }

  #speechStarted(): void {
    this.#speaking = true;
    this.#userItem = `item_${this.#id()}`;
    const item_id = this.#userItem;
    this.#tell({ type: 'input_audio_buffer.speech_started', audio_start_ms: this.#heardMs, item_id });
    this.#stop('cancelled', 'turn_detected');
  }

  #speechStopped(): void {
    this.#speaking = false;
    this.#turns += 1;
    const item_id = this.#userItem;
    this.#tell({ type: 'input_audio_buffer.speech_stopped', audio_end_ms: this.#heardMs, item_id });
    this.#tell({ type: 'input_audio_buffer.committed', item_id, previous_item_id: null });
    this.#clock.after(THINK_MS, () => {
      const transcript = 'Can that be done in the morning?';
      this.#tell({
        type: 'conversation.item.input_audio_transcription.completed',
        item_id,
        content_index: 0,
        transcript,
        usage: { type: 'tokens', total_tokens: 17, input_tokens: 15, output_tokens: 2 },
      });
      if (this.#temper !== 'mute') this.#speak({});
    });
  }

  #speak(request: Message): void {
    if (!this.isOpen || this.#response !== undefined) return;
    const metadata = request['metadata'];
    const response: Response = {
      id: `resp_${this.#id()}`,
      itemId: `item_${this.#id()}`,
      token: metadata,
      leftMs: ANSWER_MS,
    };
    this.#response = response;
    this.#tell({ type: 'response.created', response: this.#shape(response, 'in_progress', []) });
    const name = metadata === undefined || metadata === null ? this.#functionFor(this.#turns) : undefined;
    if (name !== undefined && request['tool_choice'] !== 'none') {
      this.#call(response, name);
      return;
    }
    this.#tell({
      type: 'response.output_item.added',
      response_id: response.id,
      output_index: 0,
      item: { id: response.itemId, object: 'realtime.item', type: 'message', role: 'assistant', content: [] },
    });
    this.#tell({ type: 'response.output_audio_transcript.delta', ...ofItem(response), delta: WORDS });
    this.#next(response);
  }

  #functionFor(turn: number): string | undefined {
    if (turn !== 1) return undefined;
    if (this.#temper === 'calls') return QUICK;
    if (this.#temper === 'calls-slow') return SLOW;
    return this.#temper === 'ends' ? 'end_call' : undefined;
  }

  #next(response: Response): void {
    if (this.#response !== response) return;
    if (response.leftMs <= 0) {
      this.#tell({ type: 'response.output_audio.done', ...ofItem(response) });
      this.#tell({ type: 'response.output_audio_transcript.done', ...ofItem(response), transcript: WORDS });
      this.#done(response, 'completed', [{ id: response.itemId, type: 'message', role: 'assistant' }]);
      return;
    }
    if (this.#temper === 'dies' && this.#turns === 1 && response.leftMs < ANSWER_MS / 2) {
      this.#gone(1011);
      return;
    }
    response.leftMs -= DELTA_MS;
    this.#tell({ type: 'response.output_audio.delta', ...ofItem(response), delta: this.#delta });
    this.#clock.after(DELTA_EVERY_MS, () => this.#next(response));
  }

  #call(response: Response, name: string): void {
    const call = {
      id: response.itemId,
      type: 'function_call',
      status: 'completed',
      call_id: `call_${this.#id()}`,
      name,
      arguments: name === 'end_call' ? '{}' : '{"day":4}',
    };
    // Only once: the answer to its result is speech.
    this.#turns += 1;
    this.#tell({ type: 'response.output_item.done', response_id: response.id, output_index: 0, item: call });
    this.#done(response, 'completed', [call]);
  }

  #stop(status: string, reason: string): void {
    const response = this.#response;
    if (response !== undefined) this.#done(response, status, [], { type: status, reason });
  }

  #done(
    response: Response,
    status: string,
    output: readonly Message[],
    details: Message | null = null,
  ): void {
    this.#response = undefined;
    this.#tell({
      type: 'response.done',
      response: {
        ...this.#shape(response, status, output),
        status_details: details,
        usage: { total_tokens: 120, input_tokens: 80, output_tokens: 40 },
      },
    });
  }

  #shape(response: Response, status: string, output: readonly Message[]): Message {
    return { object: 'realtime.response', id: response.id, status, output, metadata: response.token };
  }
}

function ofItem(response: Response): Message {
  return { response_id: response.id, item_id: response.itemId, output_index: 0, content_index: 0 };
}

function fieldsOf(value: unknown): Message {
  return typeof value === 'object' && value !== null ? (value as Message) : {};
}
