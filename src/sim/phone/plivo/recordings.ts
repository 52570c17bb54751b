import { randomUUID } from 'node:crypto';
import type { Cancel } from '../../../clock.ts';
import type { Callback, CallHandle, FormFields } from '../carrier-sim.ts';
import { stereoWav } from '../recordings.ts';
import type { PlivoSettings } from './settings.ts';

/** How a recording was ordered. */
export interface RecordingOrder {
  readonly fileFormat: 'mp3' | 'wav';
  readonly limitS: number;
  /** Told when it is over; absolute. */
  readonly callbackUrl: string | undefined;
  readonly callbackMethod: 'GET' | 'POST';
  /** By REST fields are written in small letters, in documents not. */
  readonly style: 'rest' | 'document';
}

interface Recording {
  readonly id: string;
  readonly apiId: string;
  readonly order: RecordingOrder;
  readonly beganMs: number;
  readonly beganBytes: number;
  readonly url: string;
  readonly cancelLimit: Cancel;
}

/** The recordings of one call. */
export class Recordings {
  readonly #call: CallHandle;
  readonly #settings: PlivoSettings;
  readonly #running = new Map<string, Recording>();
  readonly #told = new Map<string, FormFields>();
  readonly #files = new Map<string, { readonly from: number; readonly to: number }>();
  /** Where recordings can be fetched, once somebody has used the REST interface. */
  baseUrl: string | undefined;

  constructor(call: CallHandle, settings: PlivoSettings) {
    this.#call = call;
    this.#settings = settings;
  }

  get isRunning(): boolean {
    return this.#running.size > 0;
  }

  start(order: RecordingOrder): Pick<Recording, 'id' | 'apiId' | 'url'> {
    const call = this.#call;
    const id = randomUUID();
    const folder =
      this.baseUrl === undefined
        ? `https://media.plivo.com/v1/Account/${call.identity.accountId}/Recording`
        : `${this.baseUrl}/recordings/${call.identity.callId}`;
    const recording: Recording = {
      id,
      apiId: randomUUID(),
      order,
      beganMs: call.clock.epoch(),
      beganBytes: call.heard.length,
      url: `${folder}/${id}.${order.fileFormat}`,
      cancelLimit: call.clock.after(order.limitS * 1000, () => call.callBack(this.stop(id))),
    };
    this.#running.set(id, recording);
    return recording;
  }

  /** Ends one recording, or all; what there is to be told about them. */
  stop(id?: string): readonly Callback[] {
    const ending = [...this.#running.values()].filter((recording) => id === undefined || recording.id === id);
    return ending.flatMap((recording) => this.#end(recording));
  }

  /** The file, caller left and agent right; undefined for one that is not over, is not known, or is no WAV. */
  file(name: string): Uint8Array | undefined {
    const range = this.#files.get(name);
    if (range === undefined) return undefined;
    const { sent, heard } = this.#call;
    return stereoWav(sent.subarray(range.from, range.to), heard.subarray(range.from, range.to));
  }

  /** What a document's `action` is told about a recording that is over. */
  documentFields(id: string): FormFields {
    return this.#told.get(id) ?? {};
  }

  #end(recording: Recording): readonly Callback[] {
    const { id, order, cancelLimit } = recording;
    cancelLimit();
    this.#running.delete(id);
    const endMs = this.#call.clock.epoch();
    this.#told.set(id, recordFields(recording, endMs, 'document'));
    if (order.fileFormat === 'wav') {
      this.#files.set(`${id}.wav`, { from: recording.beganBytes, to: this.#call.heard.length });
    }
    if (order.callbackUrl === undefined) return [];
    const fields = recordFields(recording, endMs, order.style, this.#call.identity.callId);
    const isText = order.style === 'rest' && this.#settings.recordCallback === 'response';
    const form = isText ? { response: JSON.stringify(fields) } : fields;
    const { callbackUrl: url, callbackMethod: method } = order;
    return [{ kind: 'recording', event: 'RecordStop', url, method, payload: { form } }];
  }
}

function recordFields(
  { id, apiId, url, beganMs }: Recording,
  endMs: number,
  style: RecordingOrder['style'],
  callId?: string,
): Record<string, string> {
  const durationMs = Math.round(endMs - beganMs);
  const seconds = String(Math.round(durationMs / 1000));
  const [beganText, endText] = [String(Math.round(beganMs)), String(Math.round(endMs))];
  if (style === 'rest') {
    return {
      api_id: apiId,
      record_url: url,
      call_uuid: callId ?? '',
      recording_id: id,
      recording_duration: seconds,
      recording_duration_ms: String(durationMs),
      recording_start_ms: beganText,
      recording_end_ms: endText,
    };
  }
  return {
    Event: 'RecordStop',
    ...(callId === undefined ? {} : { CallUUID: callId }),
    RecordUrl: url,
    RecordingID: id,
    RecordingDuration: seconds,
    RecordingDurationMs: String(durationMs),
    RecordingStartMs: beganText,
    RecordingEndMs: endText,
  };
}
