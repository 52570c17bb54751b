import { BridgeError } from '../errors.ts';
import { isRecord } from '../is-record.ts';
import type { ProviderEvent } from '../provider.ts';
import { isAudioRef } from '../recording/audio-refs.ts';
import type { AudioRef, Control, ErrorRecord, ThrownRecord } from '../recording/format.ts';
import type { WireListener } from '../wire.ts';

/** What a recording has as JSON, told once more as it was: errors as errors, audio as bytes. */

/** An error of the network. */
export function errorOf({ message, code }: Pick<ThrownRecord, 'message' | 'code'>): Error {
  const error = new Error(message);
  return code === undefined ? error : Object.assign(error, { code });
}

/** What an SDK threw, as far as adapters look at it. */
export function thrownOf(record: ThrownRecord | undefined): unknown {
  if (record === undefined) return undefined;
  const { name, status, fault } = record;
  return Object.assign(errorOf(record), {
    name,
    ...(status === undefined ? {} : { $metadata: { httpStatusCode: status } }),
    ...(fault === undefined ? {} : { $fault: fault }),
  });
}

/** What happens to any WebSocket, whoever has opened it, but for its messages, its beginning and its end. */
export function tellSmall(listener: WireListener, control: Control): void {
  if (control.type === 'ping') listener.pinged();
  else if (control.type === 'pong') listener.pong(control.data);
  else if (control.type === 'text') listener.message(control.text, false);
  else if (control.type === 'binary') {
    listener.message(Buffer.from(control.base64, 'base64').toString(), true);
  }
}

/** What a session without a network told; undefined: the message is none of one. `audio` finds what a file took. */
export function sessionEventOf(
  message: unknown,
  audio: (ref: AudioRef) => Uint8Array,
): ProviderEvent | undefined {
  if (!isRecord(message) || typeof message['event'] !== 'string') return undefined;
  const { event: type, ...fields } = message;
  const told: Record<string, unknown> = { ...fields, type };
  if (type === 'audio') told['bytes'] = bytesOf(fields['bytes'], audio);
  // Whoever reads the recording has checked that lines have their shape; these were written by the recorder.
  if (isRecord(fields['error'])) told['error'] = bridgeErrorOf(fields['error'] as unknown as ErrorRecord);
  return told as unknown as ProviderEvent;
}

/** An error of the bridge itself. */
export function bridgeErrorOf({ code, message }: ErrorRecord): BridgeError {
  return new BridgeError(code, message);
}

/** Where no file took it, it stands in the message. */
function bytesOf(value: unknown, audio: (ref: AudioRef) => Uint8Array): Uint8Array {
  if (isAudioRef(value)) return audio(value);
  return Buffer.from(typeof value === 'string' ? value : '', 'base64');
}
