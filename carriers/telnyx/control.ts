import type {
  AnswerPlan,
  CallControl,
  CallRef,
  CallUrls,
  ControlResult,
  DialRequest,
  DialResult,
  LiveResult,
  Next,
} from '../../src/carrier.ts';
import { cannotAsk, controlResult } from '../../src/carrier-rest.ts';
import { assertNever, BridgeError } from '../../src/errors.ts';
import { writeClientState } from './client-state.ts';
import { recordMessage, takeMessage } from './message.ts';
import { ask, commandId, dataField, idPart } from './rest.ts';
import type { Command, ControlOptions, OtherLeg, Tools } from './transfer.ts';
import { announce, connect, dropOtherEnd, letGo, noConnection, speechOf, transfer } from './transfer.ts';
import { address, seconds } from './words.ts';

/** Control of calls by Telnyx's REST interface, of both styles. Nothing rejects. */
export interface Control extends CallControl {
  answer(call: CallRef, signal: AbortSignal): Promise<ControlResult>;
  reject(call: CallRef, reason: 'busy' | 'rejected', signal: AbortSignal): Promise<ControlResult>;
  /** The other end has picked up: tells it why, if the caller is still there. */
  announce(leg: OtherLeg, signal: AbortSignal): Promise<ControlResult>;
  /** The other end has been told: connects it with the caller. */
  connect(leg: OtherLeg, signal: AbortSignal): Promise<ControlResult>;
  /** The other end cannot be connected. */
  letGo(leg: OtherLeg, signal: AbortSignal): Promise<ControlResult>;
  /** The caller's leg is over: whoever rings for it is let go. */
  callerGone(callId: string, signal: AbortSignal): Promise<ControlResult>;
  /** The other end is connected, or gone. */
  settled(callId: string): void;
  /** The caller has been asked for a message, of at most so many seconds: records it. */
  recordMessage(callId: string, maxS: number, signal: AbortSignal): Promise<ControlResult>;
  /** The message was left, or cannot be. */
  messageOver(callId: string, signal: AbortSignal): Promise<ControlResult>;
}

type Body = Readonly<Record<string, unknown>>;

/** What Telnyx takes. */
const SHORTEST_RING_S = 5;
const LONGEST_RING_S = 600;
const LONGEST_CALL_S = 14_400;

/** Makes the control of one account's calls. */
export function createControl(options: ControlOptions): Control {
  const command: Command = async (what, callId, action, body, signal) => {
    try {
      const path = `/calls/${idPart(what, callId)}/actions/${action}`;
      // With an id it can be made again: Telnyx does what carries the same one only once.
      const json = { command_id: options.random.uuid(), ...body };
      return controlResult(
        await ask(
          options,
          { what: `${what} ${callId}`, method: 'POST', path, json, repeatable: true },
          signal,
        ),
      );
    } catch (thrown) {
      return cannotAsk(BridgeError.from(thrown));
    }
  };
  const otherEnds = new Map<string, string>();
  const hangUpLeg: Control['hangUp'] = (call, signal) =>
    command('hang up call', legId(call), 'hangup', {}, signal);
  const isLive: Control['isLive'] = (call, signal) => askLive(options, call, signal);
  const tools: Tools = { options, command, hangUp: hangUpLeg, isLive, otherEnds };
  return {
    dial: (request, signal) => placeCall(options, request, signal),
    hangUp: (call, signal) => hangUpBoth(tools, call, signal),
    isLive,
    direct: (call, next, urls, signal) =>
      call.control === 'command'
        ? directCommand(tools, call, next, signal)
        : directDocument(options, call, next, urls, signal),
    sendDigits: (call, digits, signal) => sendKeys(tools, call, digits, signal),
    startRecording: (call, _urls, signal) => startRecording(tools, call, signal),
    stopRecording: (call, signal) =>
      command('stop the recording of call', legId(call), 'record_stop', {}, signal),
    answer: (call, signal) =>
      command(
        'answer call',
        call.callId,
        'answer',
        // The same for the same call, so that a webhook that came twice answers once.
        { command_id: commandId(call.callId ?? '', 'answer'), send_silence_when_idle: true },
        signal,
      ),
    reject: (call, reason, signal) =>
      command(
        'reject call',
        call.callId,
        'reject',
        {
          cause: reason === 'busy' ? 'USER_BUSY' : 'CALL_REJECTED',
          command_id: commandId(call.callId ?? '', 'reject'),
        },
        signal,
      ),
    announce: (leg, signal) => announce(tools, leg, signal),
    connect: (leg, signal) => connect(tools, leg, signal),
    letGo: (leg, signal) => letGo(tools, leg, signal),
    callerGone: (callId, signal) => dropOtherEnd(tools, callId, signal),
    settled: (callId) => otherEnds.delete(callId),
    recordMessage: (callId, maxS, signal) => recordMessage(tools, callId, maxS, signal),
    messageOver: (callId, signal) => hangUpLeg({ callId, control: 'command' }, signal),
  };
}

/** The call, and whoever is rung for it. */
async function hangUpBoth(tools: Tools, call: CallRef, signal: AbortSignal): Promise<ControlResult> {
  const [result] = await Promise.all([
    tools.hangUp(call, signal),
    dropOtherEnd(tools, call.callId ?? '', signal),
  ]);
  return result;
}

/** Commands of Call Control reach calls of TeXML too, by the id of the leg. */
function legId(call: CallRef): string | undefined {
  return call.data?.['callControlId'] ?? call.callId;
}

function directCommand(tools: Tools, call: CallRef, next: Next, signal: AbortSignal): Promise<ControlResult> {
  switch (next.type) {
    case 'nothing':
      return Promise.resolve({ status: 'ok' });
    case 'hang-up':
      return hangUpBoth(tools, call, signal);
    case 'digits':
      return sendKeys(tools, call, next.digits, signal);
    case 'stream':
      return openStream(tools, call, next.plan, signal);
    case 'say': {
      const speech = speechOf(next.text, next.language);
      // Nothing that is said never ends, and the caller would be left waiting for it.
      if (speech === undefined) return tools.hangUp(call, signal);
      // The same words are said once, however often they are asked for.
      const command_id = commandId(call.callId ?? '', 'say', next.text);
      return tools.command('speak on call', call.callId, 'speak', { ...speech, command_id }, signal);
    }
    case 'message':
      return takeMessage(tools, call, next, signal);
    case 'transfer':
      return transfer(tools, call, next, signal);
    default:
      return assertNever(next);
  }
}

/** Only this command carries the token, the rate and the parameters; `answer` would take an address too, but not those. */
function openStream(
  tools: Tools,
  call: CallRef,
  plan: AnswerPlan,
  signal: AbortSignal,
): Promise<ControlResult> {
  const { codec, rateHz, streamToken } = tools.options;
  const params = Object.entries({ ...plan.params, ...sends(codec) }).map(([name, value]) => ({
    name,
    value,
  }));
  const body: Body = {
    stream_url: plan.mediaUrl,
    // Both tracks would bring the agent's own voice back.
    stream_track: 'inbound_track',
    // What the caller's leg speaks, unless that could not be used: Telnyx turns only G.711 into G.711.
    stream_codec: plan.plainCodec ? 'PCMU' : 'default',
    // The default is MP3, and raw audio is then dropped without a word.
    stream_bidirectional_mode: 'rtp',
    stream_bidirectional_codec: codec,
    stream_bidirectional_sampling_rate: rateHz,
    // There is one leg; said to the opposite one, nobody would hear it.
    stream_bidirectional_target_legs: 'self',
    stream_auth_token: streamToken(plan.mediaUrl),
    // Comes back with the end of the stream, also to a process that does not know the call.
    client_state: writeClientState({ ref: call.data?.['ref'], agent: plan.params['agent'] }),
    custom_parameters: params.length === 0 ? undefined : params,
    command_id: commandId(call.callId ?? '', 'stream', plan.mediaUrl),
  };
  return tools.command('stream call', call.callId, 'streaming_start', body, signal);
}

/** Says on the media socket that it is sent L16: a stream of TeXML is not, whatever is configured. */
function sends(codec: string): Readonly<Record<string, string>> {
  return codec === 'L16' ? { sends: codec } : {};
}

async function sendKeys(
  tools: Tools,
  call: CallRef,
  digits: string,
  signal: AbortSignal,
): Promise<ControlResult> {
  if (!/^[0-9A-D#*wW]{1,64}$/.test(digits)) {
    return cannotAsk(
      new BridgeError(
        'BAD_INPUT',
        `the keys to send are ${digits.length} characters that Telnyx has not; wanted 1 to 64 of 0-9 A-D # * w W`,
      ),
    );
  }
  return tools.command('send keys to call', legId(call), 'send_dtmf', { digits }, signal);
}

/** News of a recording name only the id of the leg that commands do not take, so ours goes along. */
function startRecording(tools: Tools, call: CallRef, signal: AbortSignal): Promise<ControlResult> {
  const body = {
    format: 'wav',
    channels: 'dual',
    client_state: writeClientState({ ref: call.data?.['ref'], of: call.callId }),
  };
  return tools.command('record call', legId(call), 'record_start', body, signal);
}

/** Has the carrier ask for the next document. */
async function directDocument(
  options: ControlOptions,
  call: CallRef,
  next: Next,
  urls: CallUrls,
  signal: AbortSignal,
): Promise<ControlResult> {
  if (next.type === 'nothing') return { status: 'ok' };
  const what = next.type === 'hang-up' ? 'hang up call' : 'redirect call';
  const form: Readonly<Record<string, string>> =
    next.type === 'hang-up' ? { Status: 'completed' } : { Url: urls.afterUrl, Method: 'POST' };
  try {
    const account = idPart(`${what} (its account)`, call.data?.['accountSid']);
    const path = `/texml/Accounts/${account}/Calls/${idPart(what, call.callId)}`;
    // A second redirect would cut short what the carrier was told after the first.
    const repeatable = next.type === 'hang-up';
    const wish = { what: `${what} ${call.callId}`, method: 'POST', path, form, repeatable } as const;
    return controlResult(await ask(options, wish, signal));
  } catch (thrown) {
    return cannotAsk(BridgeError.from(thrown));
  }
}

async function placeCall(
  options: ControlOptions,
  request: DialRequest,
  signal: AbortSignal,
): Promise<DialResult> {
  const what = 'place a call';
  try {
    if (options.connectionId === undefined) return cannotAsk(noConnection(what));
    const from = address("'from' of a call to place", request.from);
    const data = { connectionId: options.connectionId, number: from, ref: request.ref };
    const json = dialBody(options.connectionId, request, from, options.random.uuid());
    const result = await ask(
      options,
      { what, method: 'POST', path: '/calls', json, repeatable: false },
      signal,
    );
    if (result.status === 'error') return result;
    const id = result.status === 'ok' ? dataField(result.response, 'call_control_id') : undefined;
    if (typeof id === 'string' && id !== '')
      return { status: 'ok', call: { callId: id, control: 'command', data } };
    // Not "unavailable", which may be tried again: somebody's telephone may be ringing.
    return cannotAsk(
      new BridgeError(
        'BAD_FRAME',
        `Telnyx's answer to the wish to ${what} has no data.call_control_id; wanted an id`,
      ),
    );
  } catch (thrown) {
    return cannotAsk(BridgeError.from(thrown));
  }
}

function dialBody(connectionId: string, request: DialRequest, from: string, commandId: string): Body {
  return {
    connection_id: connectionId,
    to: address("'to' of a call to place", request.to),
    from,
    webhook_url: request.eventsUrl,
    webhook_url_method: 'POST',
    client_state: writeClientState({ ref: request.ref }),
    timeout_secs: seconds('the ring time of a call to place', request.ringS, SHORTEST_RING_S, LONGEST_RING_S),
    time_limit_secs: seconds('the longest duration of a call to place', request.maxS, 1, LONGEST_CALL_S),
    answering_machine_detection: detection(request.machineDetection),
    send_silence_when_idle: true,
    command_id: commandId,
  };
}

/**
 * `greeting_end` tells a beep and an end without one apart and always comes to an end; `detect_beep` would say nothing
 * at all of a machine that does not beep, and whoever waits to leave a message would wait for ever.
 */
function detection(wanted: DialRequest['machineDetection']): 'detect' | 'greeting_end' | undefined {
  switch (wanted) {
    case 'off':
      return undefined;
    case 'detect':
      return 'detect';
    case 'greeting-end':
      return 'greeting_end';
    default:
      return assertNever(wanted);
  }
}

async function askLive(options: ControlOptions, call: CallRef, signal: AbortSignal): Promise<LiveResult> {
  const what = 'show call';
  try {
    const path = `/calls/${idPart(what, legId(call))}`;
    const result = await ask(
      options,
      { what: `${what} ${call.callId}`, method: 'GET', path, repeatable: true },
      signal,
    );
    if (result.status === 'error') return result;
    if (result.status === 'already-ended') return { status: 'ok', live: false };
    const live = dataField(result.response, 'is_alive');
    if (typeof live === 'boolean') return { status: 'ok', live };
    // An answer that nobody can read must not end a call.
    return cannotAsk(
      new BridgeError(
        'BAD_FRAME',
        `Telnyx's answer to the wish to ${what} has no data.is_alive; wanted true or false`,
      ),
    );
  } catch (thrown) {
    return cannotAsk(BridgeError.from(thrown));
  }
}
