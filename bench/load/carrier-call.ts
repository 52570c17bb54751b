import type { Socket } from 'node:net';
import type { Sender } from './beat.ts';
import { type CodeKind, CodeReader, FRAME_MS, MULAW } from './frame-code.ts';
import { type Counts, FrameLedger } from './ledger.ts';
import { MediaTemplate } from './media-template.ts';
import type { ProviderSession } from './provider-session.ts';
import { postForm, upgrade } from './raw-http.ts';
import {
  type CallIds,
  incomingForm,
  markMessage,
  newCall,
  readDocument,
  signatureOf,
  startMessage,
  stopMessage,
} from './twilio.ts';
import { CLIENT_MASK, closeFrame, FrameReader, frameOf, PayloadFinder, textOf } from './web-socket.ts';

const BYTES_PER_MS = 8;
const NO_MASK = new Uint8Array(4);

/** What calls are made with. */
export interface CallPlan {
  /** Where calls are announced. */
  readonly webhookUrl: URL;
  readonly secret: string;
  /** By how much resampled audio is late in its own stream, in samples at 8 kHz. */
  readonly codecDelay: number;
}

/** Times of the beginning of a call, in ms since its webhook was sent; undefined: not yet. */
export interface CallStart {
  documentMs: number | undefined;
  firstAudioMs: number | undefined;
}

interface PendingMark {
  readonly name: string;
  readonly dueAt: number;
}

/** One call as Twilio makes it: webhook, document, stream; sends a frame every 20 ms and plays what it gets. */
export class CarrierCall implements Sender {
  readonly slot: number;
  readonly start: CallStart = { documentMs: undefined, firstAudioMs: undefined };
  readonly up: FrameLedger;
  /** The provider's session that hears this call. */
  session: ProviderSession | undefined;
  readonly #ids: CallIds;
  readonly #plan: CallPlan;
  readonly #counts: Counts;
  readonly #finder = new PayloadFinder();
  readonly #codes: CodeReader;
  readonly #marks: PendingMark[] = [];
  #socket: Socket | undefined;
  #startedAt = 0;
  #sequence = 1;
  #chunk = 0;
  #template: MediaTemplate | undefined;
  /** When the caller has heard all that came. */
  #playedUntil = 0;
  #beginsResponse = false;
  #gone = false;

  constructor(slot: number, plan: CallPlan, counts: Counts) {
    this.slot = slot;
    this.#plan = plan;
    this.#counts = counts;
    this.#ids = newCall(slot);
    this.up = new FrameLedger(counts, 'up');
    this.#codes = new CodeReader(MULAW, plan.codecDelay, this);
  }

  /** The line is open. */
  get isUp(): boolean {
    return this.#socket !== undefined && !this.#gone;
  }

  /** Resolves when the media socket is open. Rejects when the call is not taken. */
  async dial(): Promise<void> {
    const { webhookUrl, secret } = this.#plan;
    this.#startedAt = performance.now();
    const form = incomingForm(this.#ids);
    const signature = signatureOf(secret, webhookUrl.href, form);
    const answer = await postForm(webhookUrl, form, { 'X-Twilio-Signature': signature });
    this.start.documentMs = performance.now() - this.#startedAt;
    const order = readDocument(answer.body);
    if (answer.status !== 200 || order === undefined) {
      throw new Error(`the webhook was answered with HTTP ${answer.status} and no stream`);
    }
    const headers = { 'X-Twilio-Signature': signatureOf(secret, order.url) };
    const { socket, listen } = await upgrade(new URL(order.url), headers);
    this.#socket = socket;
    socket.write(frameOf('{"event":"connected","protocol":"Call","version":"1.0.0"}', CLIENT_MASK).bytes);
    socket.write(frameOf(startMessage(this.#ids, order.parameters), CLIENT_MASK).bytes);
    this.#watch(socket);
    const reader = this.#reader(socket);
    listen((chunk) => reader.push(chunk));
  }

  /** Sends 20 ms of the caller, and the marks that were reached. */
  beat(now: number): void {
    const socket = this.#socket;
    if (socket === undefined || this.#gone) return;
    while (this.#marks[0] !== undefined && this.#marks[0].dueAt <= now)
      this.#echo(this.#marks.shift()?.name ?? '');
    this.#sequence += 1;
    this.#chunk += 1;
    const frame = this.#nextFrame(socket.writableLength > 0);
    // Until it is known whose audio comes where, the audio says whose it is.
    if (this.session === undefined) frame.code(this.slot, 'slot');
    else frame.code(this.up.send(now), 'sequence');
    socket.write(frame.bytes);
  }

  /** The caller hangs up. */
  hangUp(): void {
    const socket = this.#socket;
    if (socket === undefined || this.#gone) return;
    this.#gone = true;
    socket.write(frameOf(stopMessage(this.#ids, this.#sequence + 1), CLIENT_MASK).bytes);
    socket.end(closeFrame(CLIENT_MASK));
  }

  /** Ends the connection without a word. */
  drop(): void {
    this.#gone = true;
    this.#socket?.destroy();
  }

  onNumber(value: number, kind: CodeKind, now: number): void {
    if (kind === 'sequence' && this.session?.down.received(value, now) === true) this.#beginsResponse = true;
  }

  onNone(): void {
    if (this.session !== undefined) this.#counts.spoilt += 1;
  }

  #reader(socket: Socket): FrameReader {
    return new FrameReader(
      {
        onText: (data, at, end, mask) => this.#onText(data, at, end, mask),
        onAnswer: (frame) => socket.write(frame),
        onClose: () => socket.end(),
        onNonsense: () => {
          this.#counts.nonsense += 1;
        },
      },
      CLIENT_MASK,
    );
  }

  #watch(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      // Only the caller ends calls here.
      if (!this.#gone) this.#counts.nonsense += 1;
      this.#gone = true;
    });
  }

  #onText(data: Buffer, at: number, end: number, mask: Uint8Array): void {
    const until = this.#finder.find(data, at, end, mask);
    if (until >= 0) this.#onMedia(data, at, at + this.#finder.start, until, mask);
    else this.#onOther(textOf(data, at, end, mask));
  }

  #onMedia(data: Buffer, origin: number, from: number, until: number, mask: Uint8Array): void {
    const now = performance.now();
    this.start.firstAudioMs ??= now - this.#startedAt;
    this.#beginsResponse = false;
    const bytes = this.#codes.read(data, from, until, mask, origin, now);
    if (this.#playedUntil < now) {
      // Between two responses the line may well be quiet.
      if (!this.#beginsResponse && this.#playedUntil > 0) this.#ranDry(now - this.#playedUntil);
      this.#playedUntil = now;
    }
    this.#playedUntil += bytes / BYTES_PER_MS;
  }

  #ranDry(ms: number): void {
    if (!this.#counts.measuring) return;
    this.#counts.underruns += 1;
    this.#counts.underrunMs += ms;
  }

  #onOther(text: string): void {
    const message = JSON.parse(text) as Readonly<Record<string, Readonly<Record<string, unknown>>>>;
    const event: unknown = message['event'];
    if (event === 'media') {
      const payload = String(message['media']?.['payload']);
      this.#finder.learn(text, payload);
      this.#counts.slow += 1;
      const plain = Buffer.from(text);
      const until = this.#finder.find(plain, 0, plain.length, NO_MASK);
      if (until >= 0) this.#onMedia(plain, 0, this.#finder.start, until, NO_MASK);
    } else if (event === 'mark') this.#onMark(String(message['mark']?.['name']));
    else if (event === 'clear') this.#onClear();
    else this.#counts.nonsense += 1;
  }

  #onMark(name: string): void {
    this.#marks.push({ name, dueAt: Math.max(performance.now(), this.#playedUntil) });
  }

  #onClear(): void {
    const now = performance.now();
    const { session } = this;
    this.#counts.clears += 1;
    if (session !== undefined && session.speechStartedAt > 0) {
      if (this.#counts.measuring) this.#counts.bargeIn.record(now - session.speechStartedAt);
      session.speechStartedAt = 0;
    }
    // The frame that is played is heard to its end.
    this.#playedUntil = Math.min(this.#playedUntil, now + FRAME_MS);
    for (const { name } of this.#marks.splice(0)) this.#echo(name);
  }

  #echo(name: string): void {
    this.#sequence += 1;
    this.#socket?.write(frameOf(markMessage(this.#ids, this.#sequence, name), CLIENT_MASK).bytes);
  }

  /** The message of the last frame with other numbers in it, made anew only when one of them gets longer. */
  #nextFrame(isBlocked: boolean): MediaTemplate {
    let template = this.#template;
    if (isBlocked) this.#counts.blocked += 1;
    // What the kernel did not take yet still lies in the memory of the last one.
    if (template === undefined || isBlocked || !template.number(this.#sequence, this.#chunk)) {
      template = new MediaTemplate(this.#ids, this.#sequence, this.#chunk);
      this.#template = template;
    }
    return template;
  }
}
