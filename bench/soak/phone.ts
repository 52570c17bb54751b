import type { Answer, WebhookRequest } from '../../src/carrier.ts';
import type { Clock } from '../../src/clock.ts';
import type { Signer } from '../../src/replay/signer.ts';
import type { WireListener, WireSocket } from '../../src/wire.ts';
import type { Dialect, StreamNames, Told } from './dialects.ts';

/** What a caller does. */
export type Manner =
  /** Says something twice and hangs up after the second answer. */
  | 'hangs-up'
  /** Speaks while the agent does. */
  | 'cuts-in'
  /** Hangs up while the agent speaks, so soon that nobody has said stop. */
  | 'vanishes'
  /** Its media stream breaks without a closing handshake. */
  | 'breaks'
  /** Waits until the bridge ends the call. */
  | 'stays'
  /** Says something once and goes on listening until `hungUp` is called. */
  | 'stays-on'
  /** Rings and never opens a media stream. */
  | 'never-comes';

/** Where calls come in: a service in this process, or one at the other end of a network. */
export interface Entrance {
  readonly clock: Clock;
  readonly signer: Signer;
  /** How much of the caller is in one message, in ms. */
  readonly pieceMs: number;
  /** Sends a webhook to one of the routes. */
  post(
    route: 'voice' | 'status',
    request: WebhookRequest,
    done: (answer: Pick<Answer, 'status' | 'body'>) => void,
  ): void;
  /** Opens a media stream. `connect` gives the carrier's end of it; called once, unless the stream is refused. */
  stream(request: WebhookRequest, connect: (listener: WireListener) => WireSocket, refused: () => void): void;
}

const RING_MS = 30;
const SPEECH_MS = 700;
const LISTEN_MS = 900;
/** Whoever waits for the bridge to end the call waits no longer. */
const PATIENCE_MS = 12_000;
/** Of mu-law. */
const BYTES_PER_MS = 8;
const LOUD = 0x1d;
const QUIET = 0xff;

/** One call, with its caller and its carrier. Ends by itself. */
export class Phone {
  readonly callId: string;
  readonly #entrance: Entrance;
  readonly #dialect: Dialect;
  readonly #manner: Manner;
  readonly #onOver: (answered: boolean) => void;
  readonly #names: StreamNames;
  readonly #speech: string;
  readonly #silence: string;
  #stream: PhoneStream | undefined;
  #answered = false;
  #over = false;
  #begunAt = 0;
  #chunk = 0;
  #sentMs = 0;

  /** @param onOver called once, when the carrier has had its last word; `answered`: there was a conversation */
  constructor(
    entrance: Entrance,
    dialect: Dialect,
    manner: Manner,
    number: number,
    onOver: (answered: boolean) => void,
  ) {
    this.#entrance = entrance;
    this.#dialect = dialect;
    this.#manner = manner;
    this.#onOver = onOver;
    this.callId = dialect.callId(number);
    const bytes = entrance.pieceMs * BYTES_PER_MS;
    this.#speech = Buffer.alloc(bytes, LOUD).toString('base64');
    this.#silence = Buffer.alloc(bytes, QUIET).toString('base64');
    this.#names = { callId: this.callId, streamId: `MZ${number}`, agent: 'voice-agent' };
  }

  /** Whether the caller has been told to leave. */
  get over(): boolean {
    return this.#over;
  }

  ring(): void {
    this.#begunAt = this.#entrance.clock.now();
    const { carrier } = this.#dialect;
    this.#post('voice', this.#dialect.incoming(this.callId), ({ body }) => {
      const target = new RegExp(`/media/${carrier}/[A-Za-z0-9_-]+`).exec(body)?.[0];
      if (target === undefined) this.hungUp();
      else if (this.#manner === 'never-comes') this.#after(PATIENCE_MS * 3, () => this.hungUp());
      else this.#after(RING_MS, () => this.#open(target));
    });
  }

  /** The call is over for the carrier, whoever wanted that. */
  hungUp(clean = true): void {
    if (this.#over) return;
    this.#over = true;
    const stream = this.#stream;
    if (stream !== undefined && clean) this.#tell(this.#dialect.stop(this.#names));
    stream?.gone(clean ? 1000 : 1006);
    this.#after(5, () => {
      this.#post('status', this.#dialect.over(this.callId), () => undefined);
      this.#onOver(this.#answered);
    });
  }

  /** Says no more of the call than that it is over; calls back when that is answered. */
  tellOver(done: () => void): void {
    this.#post('status', this.#dialect.over(this.callId), done);
  }

  /** Sends its webhook with a wrong signature; calls back with the status. */
  knockInVain(done: (status: number) => void): void {
    this.#post('voice', this.#dialect.incoming(this.callId), ({ status }) => done(status), 'bad-signature');
  }

  #after(ms: number, run: () => void): void {
    this.#entrance.clock.after(ms, run);
  }

  #post(
    route: 'voice' | 'status',
    fields: Readonly<Record<string, string>>,
    done: (answer: Pick<Answer, 'status' | 'body'>) => void,
    signed: 'valid' | 'bad-signature' = 'valid',
  ): void {
    const { signer, clock } = this.#entrance;
    const { carrier } = this.#dialect;
    const target = `/${route}/${carrier}`;
    const body = new URLSearchParams(fields).toString();
    const toSign = { method: 'POST', target, fields, body, epochMs: clock.epoch() };
    const headers = {
      'content-type': 'application/x-www-form-urlencoded',
      ...signer.headers(carrier, toSign, signed),
    };
    const request = { method: 'POST', target, headers, body: new TextEncoder().encode(body) };
    this.#entrance.post(route, request, done);
  }

  #open(target: string): void {
    if (this.#over) return;
    const { signer, clock } = this.#entrance;
    const { carrier } = this.#dialect;
    const toSign = { method: 'GET', target, fields: {}, body: '', epochMs: clock.epoch() };
    const headers = signer.headers(carrier, toSign, 'valid', true);
    const connect = (listener: WireListener): WireSocket => {
      this.#stream = new PhoneStream(clock, listener, this.#dialect, {
        mark: (name) => this.#tell(this.#dialect.mark(this.#names, name)),
        closed: () => this.#after(20, () => this.hungUp()),
      });
      // Not before the other end has its socket.
      queueMicrotask(() => this.#begin());
      return this.#stream;
    };
    const request = { method: 'GET', target, headers, body: new Uint8Array(0) };
    this.#entrance.stream(request, connect, () => this.hungUp());
  }

  #begin(): void {
    this.#answered = true;
    for (const message of this.#dialect.start(this.#names)) this.#tell(message);
    this.#talk();
  }

  #tell(message: Readonly<Record<string, unknown>> | undefined): void {
    if (message !== undefined) this.#stream?.tell(JSON.stringify(message));
  }

  /** One piece of what the caller's side sends, and the next one a moment later. */
  #talk(): void {
    if (this.#over) return;
    const { pieceMs } = this.#entrance;
    const ms = this.#sentMs;
    this.#chunk += 1;
    this.#sentMs += pieceMs;
    this.#tell(
      this.#dialect.media(this.#names, this.#chunk, ms, this.#speaks(ms) ? this.#speech : this.#silence),
    );
    if (this.#leaves(ms)) this.hungUp(this.#manner !== 'breaks');
    else this.#after(pieceMs, () => this.#talk());
  }

  #speaks(ms: number): boolean {
    // The greeting is 1.2 s long and comes after 0.2 s.
    const first = this.#manner === 'cuts-in' ? 600 : LISTEN_MS + 700;
    if (ms >= first && ms < first + SPEECH_MS) return true;
    // A goodbye is not to be cut off.
    if (this.#manner === 'stays' || this.#manner === 'stays-on') return false;
    const second = first + SPEECH_MS + LISTEN_MS;
    return ms >= second && ms < second + SPEECH_MS;
  }

  #leaves(ms: number): boolean {
    if (this.#manner === 'stays-on') return false;
    if (this.#entrance.clock.now() - this.#begunAt >= PATIENCE_MS) return true;
    if (this.#manner === 'stays') return false;
    return ms >= (this.#manner === 'hangs-up' || this.#manner === 'cuts-in' ? 5500 : 3900);
  }
}

/** The carrier's end of a media stream: plays what it is given, and says when it has. */
class PhoneStream implements WireSocket {
  readonly bufferedAmount = 0;
  readonly #clock: Clock;
  readonly #listener: WireListener;
  readonly #dialect: Dialect;
  readonly #told: { mark(name: string): void; closed(): void };
  readonly #waiting = new Map<string, () => void>();
  #emptyAt = 0;
  #state: 'open' | 'closing' | 'closed' = 'open';

  constructor(
    clock: Clock,
    listener: WireListener,
    dialect: Dialect,
    told: { mark(name: string): void; closed(): void },
  ) {
    this.#clock = clock;
    this.#listener = listener;
    this.#dialect = dialect;
    this.#told = told;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  send(text: string, flushed?: () => void): void {
    if (!this.isOpen) return;
    if (flushed !== undefined) queueMicrotask(flushed);
    const told = this.#dialect.read(JSON.parse(text));
    if (told !== undefined) this.#take(told);
  }

  ping(data = ''): void {
    this.#clock.after(3, () => this.isOpen && this.#listener.pong(data));
  }

  close(code = 1000): void {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    this.#clock.after(3, () => {
      this.gone(code);
      this.#told.closed();
    });
  }

  terminate(): void {
    this.close(1006);
  }

  tell(text: string): void {
    if (this.#state !== 'closed') this.#listener.message(text, false);
  }

  gone(code: number): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    for (const cancel of this.#waiting.values()) cancel();
    this.#waiting.clear();
    this.#listener.closed(code, '');
  }

  #take(told: Told): void {
    const now = this.#clock.now();
    switch (told.type) {
      case 'audio':
        this.#emptyAt = Math.max(now, this.#emptyAt) + told.ms;
        break;
      case 'mark':
        this.#waiting.set(
          told.name,
          this.#clock.after(this.#emptyAt - now, () => this.#played(told.name)),
        );
        break;
      case 'clear':
        this.#clear(now);
        break;
      default:
    }
  }

  #played(name: string): void {
    this.#waiting.delete(name);
    this.#told.mark(name);
  }

  #clear(now: number): void {
    this.#emptyAt = now;
    for (const [name, cancel] of [...this.#waiting]) {
      cancel();
      this.#waiting.delete(name);
      if (this.#dialect.echoesCleared) this.#clock.after(1, () => this.#told.mark(name));
    }
  }
}
