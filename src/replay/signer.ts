import type { KeyObject } from 'node:crypto';
import type { CarrierName } from '../carrier.ts';
import { assertNever } from '../errors.ts';
import type { Signed } from '../recording/format.ts';
import { plivoSignature } from '../sim/phone/plivo/signature.ts';
import { signedHeaders, signingKey } from '../sim/phone/telnyx/signature.ts';
import { twilioSignature } from '../sim/phone/twilio/signature.ts';

type Fields = Readonly<Record<string, string | readonly string[]>>;

/** A request that is to be signed as its carrier would. */
export interface ToSign {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** Of a form; empty for anything else. */
  readonly fields: Fields;
  readonly body: string;
  readonly epochMs: number;
}

/** Receivers take five minutes. */
const STALE_S = 301;
const WRONG = '/another';

/**
 * Signs what carriers send in a replay, with a secret of the replay's own, or does it wrong in the way that the recording
 * says. `upgrade`: the request opens a media socket.
 */
export class Signer {
  readonly #secret: string;
  readonly #publicUrl: string;
  #nonces = 0;
  /** Made once: that takes longer than signing. */
  #telnyxKey: KeyObject | undefined;

  constructor(secret: string, publicUrl: string) {
    this.#secret = secret;
    this.#publicUrl = publicUrl.replace(/\/+$/, '');
  }

  headers(
    carrier: CarrierName,
    request: ToSign,
    signed: Signed,
    upgrade = false,
  ): Readonly<Record<string, string>> {
    if (signed === 'missing-signature') return {};
    const origin =
      upgrade && carrier === 'twilio' ? this.#publicUrl.replace(/^http/i, 'ws') : this.#publicUrl;
    const url = `${originOf(origin)}${request.target}${signed === 'bad-signature' ? WRONG : ''}`;
    switch (carrier) {
      case 'twilio':
        return { 'x-twilio-signature': twilioSignature(this.#secret, url, request.fields) };
      case 'plivo':
        return this.#plivo(request, url, signed);
      case 'telnyx':
        return this.#telnyx(request, signed, upgrade);
      default:
        return assertNever(carrier);
    }
  }

  #plivo({ method, fields }: ToSign, url: string, signed: Signed): Readonly<Record<string, string>> {
    // What is `replayed` comes with the nonce of the request before it.
    if (signed !== 'replayed' || this.#nonces === 0) this.#nonces += 1;
    const nonce = String(this.#nonces).padStart(20, '0');
    const verb = method.toUpperCase() === 'GET' ? 'GET' : 'POST';
    return {
      'x-plivo-signature-v3': plivoSignature(verb, url, fields, nonce, this.#secret),
      'x-plivo-signature-v3-nonce': nonce,
    };
  }

  #telnyx({ body, epochMs }: ToSign, signed: Signed, upgrade: boolean): Readonly<Record<string, string>> {
    // Its media sockets are not signed.
    if (upgrade) return {};
    const stale = signed === 'stale' ? STALE_S * 1000 : 0;
    this.#telnyxKey ??= signingKey(this.#secret);
    return signedHeaders(this.#telnyxKey, epochMs - stale, body, signed === 'bad-signature' ? 'bad' : 'good');
  }
}

/** A path of the public URL is part of the target already. */
function originOf(url: string): string {
  return /^[a-z]+:\/\/[^/?#]+/i.exec(url)?.[0] ?? url;
}
