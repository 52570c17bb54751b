import type { Answer, CarrierName, WebhookRequest } from '../carrier.ts';
import { BridgeError } from '../errors.ts';
import type { MediaSockets } from '../media-socket.ts';
import type { Line, Signed, WebhookIn } from '../recording/format.ts';
import { statusAnswer, type WebhookDoor, type WebhookPlace } from '../webhook-door.ts';
import { FedSocket, type Source } from './fed-socket.ts';
import type { Signer } from './signer.ts';

type CarrierLine = Extract<Line, { on: 'carrier' }>;

export interface CarrierFeedOptions {
  readonly carrier: CarrierName;
  readonly source: Source;
  readonly signer: Signer;
  readonly door: WebhookDoor;
  readonly media: MediaSockets;
  epoch(): number;
  /** What Telnyx was told to send when it opens a stream of a call in command style; undefined: nothing. */
  streamToken(): string | undefined;
  /** Of what is found. */
  linesSoFar(): number;
  /** Puts a line to what is found, at the time that it is now. */
  write(line: Line): void;
}

/** The carrier of a replay: asks the bridge over the webhooks and media streams of the recording. */
export class CarrierFeed {
  readonly #options: CarrierFeedOptions;
  readonly #streams = new Map<number, FedSocket>();

  constructor(options: CarrierFeedOptions) {
    this.#options = options;
  }

  /** A webhook arrives. It and its answer are put down here, because many belong to no call. */
  webhook(line: Extract<Line, { on: 'webhook' }>): void {
    if (!('route' in line.msg)) return;
    const webhook = line.msg;
    const { door, write } = this.#options;
    const request = this.#request(webhook);
    write(line);
    let isAnswered = false;
    const answer = ({ status, contentType, body }: Answer): void => {
      if (isAnswered) return;
      isAnswered = true;
      write({ t: line.t, on: 'webhook', dir: 'out', msg: { id: webhook.id, status, contentType, body } });
    };
    try {
      door.receive(placeOf(webhook), request, answer);
    } catch (thrown) {
      // As the router does it: a request that its carrier would not make.
      answer(statusAnswer(BridgeError.from(thrown, 'BAD_FRAME').code === 'BAD_FRAME' ? 400 : 500));
    }
  }

  /** Something happens on a media stream. False: there is no such stream. */
  stream(line: CarrierLine): boolean {
    const { conn } = line;
    if ('ctl' in line && line.ctl.type === 'upgrade') {
      this.#upgrade(line, line.ctl.target, line.ctl.signed);
      return true;
    }
    const stream = this.#streams.get(conn);
    if (stream === undefined) return false;
    if ('ctl' in line) stream.control(line.ctl);
    else stream.message(line.msg);
    return true;
  }

  #upgrade(line: CarrierLine, recorded: string, signed: Signed): void {
    const { media, source, carrier, signer, linesSoFar, write } = this.#options;
    const { conn } = line;
    const target = source.translate(recorded);
    const headers = signer.headers(carrier, this.#toSign('GET', target), signed, true);
    const request: WebhookRequest = {
      method: 'GET',
      target,
      headers: { ...headers, ...this.#tokenHeader(signed) },
      body: new Uint8Array(0),
    };
    const before = linesSoFar();
    const entry = media.admit(request);
    if ('status' in entry) {
      // A stream that belongs to no call is in nobody's recording.
      if (linesSoFar() > before) return;
      write(line);
      write({ ...line, dir: 'out', ctl: { type: 'not-upgraded', status: entry.status } });
      return;
    }
    media.join(entry, (listener) => {
      const stream = new FedSocket(listener, source, 'open');
      this.#streams.set(conn, stream);
      return stream;
    });
  }

  #tokenHeader(signed: Signed): Readonly<Record<string, string>> {
    const { carrier, streamToken } = this.#options;
    const token = carrier === 'telnyx' && signed !== 'missing-signature' ? streamToken() : undefined;
    if (token === undefined) return {};
    return { 'x-telnyx-streaming-auth-token': signed === 'valid' ? token : `${token}x` };
  }

  #toSign(method: string, target: string) {
    return { method, target, fields: {}, body: '', epochMs: this.#options.epoch() };
  }

  #request(webhook: WebhookIn): WebhookRequest {
    const { source, signer, carrier } = this.#options;
    const { method, contentType, signed } = webhook;
    const target = source.translate(webhook.target);
    const { body, fields } = bodyOf(webhook, (text) => source.translate(text));
    const toSign = { ...this.#toSign(method, target), body, fields };
    const headers = signer.headers(carrier, toSign, signed);
    return {
      method,
      target,
      headers: { ...(contentType === '' ? {} : { 'content-type': contentType }), ...headers },
      body: new TextEncoder().encode(body),
    };
  }
}

function bodyOf(
  { form, json, text }: WebhookIn,
  translate: (text: string) => string,
): { readonly body: string; readonly fields: Readonly<Record<string, string | readonly string[]>> } {
  if (form === undefined) {
    const body = json === undefined ? (text ?? '') : JSON.stringify(json);
    return { body: translate(body), fields: {} };
  }
  const fields: Record<string, string | readonly string[]> = {};
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(form)) {
    const values = (typeof value === 'string' ? [value] : value).map(translate);
    for (const one of values) params.append(name, one);
    fields[name] = values.length === 1 ? (values[0] ?? '') : values;
  }
  return { body: params.toString(), fields };
}

const PLACE =
  /\/(?:voice|events|status|machine|stream-status|after|announce)\/([^/?]+)(?:\/([^/?]+))?\/?(?:\?|$)/;

function placeOf({ route, target }: WebhookIn): WebhookPlace {
  const [, carrier, token] = PLACE.exec(target) ?? [];
  return { route, carrier, token };
}
