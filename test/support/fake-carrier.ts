import { MULAW_8K } from '../../src/audio/format.ts';
import type {
  Answer,
  CallControl,
  CallRef,
  CallUrls,
  Carrier,
  ControlResult,
  DialRequest,
  Next,
} from '../../src/carrier.ts';

/** A request that the bridge made of the carrier, in the order of the requests. */
export type ControlCall =
  | { readonly what: 'dial'; readonly request: DialRequest }
  | { readonly what: 'hangUp'; readonly call: CallRef }
  | { readonly what: 'direct'; readonly call: CallRef; readonly next: Next; readonly urls: CallUrls }
  | { readonly what: 'sendDigits'; readonly call: CallRef; readonly digits: string }
  | { readonly what: 'startRecording'; readonly call: CallRef; readonly urls: CallUrls }
  | { readonly what: 'stopRecording'; readonly call: CallRef }
  | { readonly what: 'isLive'; readonly call: CallRef };

export type FakeCarrier = Carrier & {
  /** Of every request, also of those whose answer the test makes. */
  readonly calls: readonly ControlCall[];
};

/**
 * A carrier in document style that believes everything. `hungUp` collects the calls that were hung up by REST, `result`
 * is the outcome of requests about a call, and `parts` take the place of what is here.
 */
export function fakeCarrier(
  hungUp: string[] = [],
  result: ControlResult = { status: 'ok' },
  parts: Partial<Carrier> = {},
): FakeCarrier {
  const calls: ControlCall[] = [];
  const carrier: Carrier = { ...believing(result), ...parts };
  return { ...carrier, ...recorded(carrier, calls, hungUp), calls };
}

/** A body that tells documents apart. */
function answer(name: string): Answer {
  return { status: 200, contentType: 'text/xml', body: `<Response><!-- ${name} --></Response>` };
}

function believing(result: ControlResult): Carrier {
  let placed = 0;
  return {
    name: 'twilio',
    capabilities: {
      webhookAuth: 'url-signature',
      upgradeAuth: 'signature',
      tokenUses: 1,
      orderedMedia: true,
      saysStopped: true,
      marksEchoedOnClear: true,
      needsSilenceWhenIdle: false,
      defaultFormat: MULAW_8K,
      inputs: [MULAW_8K],
      outputs: [MULAW_8K],
      digitsIn: 'socket',
      digitsOut: 'interrupts-stream',
      transfer: { endsStream: true, announced: true, wayBack: true },
      machineDetection: 'beep',
      dialGives: 'call-id',
    },
    verify: () => ({ ok: true }),
    verifyUpgrade: () => ({ ok: true }),
    parse: () => ({ type: 'ignored', why: 'a fake carrier has no webhooks' }),
    accept: () => ({ answer: answer('accept') }),
    reject: (_call, reason) => ({ answer: answer(`reject ${reason}`) }),
    document: (next) => answer(next.type),
    announcement: (text) => answer(`announcement of ${text.length} characters`),
    acknowledge: () => answer('acknowledge'),
    decode: () => [],
    encode: (command) => command.type,
    dial: () => {
      placed += 1;
      return Promise.resolve({ status: 'ok', call: { callId: `CA-placed-${placed}`, control: 'document' } });
    },
    hangUp: () => Promise.resolve(result),
    direct: () => Promise.resolve(result),
    sendDigits: () => Promise.resolve(result),
    startRecording: () => Promise.resolve(result),
    stopRecording: () => Promise.resolve(result),
    isLive: () =>
      Promise.resolve(result.status === 'error' ? result : { status: 'ok', live: result.status === 'ok' }),
  };
}

function recorded(carrier: Carrier, calls: ControlCall[], hungUp: string[]): CallControl {
  return {
    dial: (request, signal) => {
      calls.push({ what: 'dial', request });
      return carrier.dial(request, signal);
    },
    hangUp: (call, signal) => {
      calls.push({ what: 'hangUp', call });
      hungUp.push(call.callId ?? call.requestId ?? '');
      return carrier.hangUp(call, signal);
    },
    direct: (call, next, urls, signal) => {
      calls.push({ what: 'direct', call, next, urls });
      return carrier.direct(call, next, urls, signal);
    },
    sendDigits: (call, digits, signal) => {
      calls.push({ what: 'sendDigits', call, digits });
      return carrier.sendDigits(call, digits, signal);
    },
    startRecording: (call, urls, signal) => {
      calls.push({ what: 'startRecording', call, urls });
      return carrier.startRecording(call, urls, signal);
    },
    stopRecording: (call, signal) => {
      calls.push({ what: 'stopRecording', call });
      return carrier.stopRecording(call, signal);
    },
    isLive: (call, signal) => {
      calls.push({ what: 'isLive', call });
      return carrier.isLive(call, signal);
    },
  };
}
