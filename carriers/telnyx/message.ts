import type { CallRef, ControlResult, Next } from '../../src/carrier.ts';
import { cannotAsk } from '../../src/carrier-rest.ts';
import { BridgeError } from '../../src/errors.ts';
import { writeClientState } from './client-state.ts';
import { commandId } from './rest.ts';
import type { Tools } from './transfer.ts';
import { speechOf } from './transfer.ts';
import { seconds } from './words.ts';

/** What Telnyx records at most. */
const LONGEST_MESSAGE_S = 14_400;

type Message = Extract<Next, { type: 'message' }>;

/**
 * Asks the caller for a message. The words are said now; what follows them goes along with the leg, so that it happens
 * also when another process hears of their end.
 */
export function takeMessage(
  tools: Tools,
  call: CallRef,
  next: Message,
  signal: AbortSignal,
): Promise<ControlResult> {
  try {
    const maxS = seconds('the longest message', next.maxS, 1, LONGEST_MESSAGE_S);
    const speech = speechOf(next.text, next.language);
    if (speech === undefined) return recordMessage(tools, call.callId, maxS, signal);
    const client_state = writeClientState({
      ref: call.data?.['ref'],
      stage: 'message',
      maxS: String(maxS),
    });
    const command_id = commandId(call.callId ?? '', 'message', next.text);
    const body = { ...speech, client_state, command_id };
    return tools.command('speak on call', call.callId, 'speak', body, signal);
  } catch (thrown) {
    return Promise.resolve(cannotAsk(BridgeError.from(thrown)));
  }
}

/** The caller has been asked: the tone, and then what they say. The news of the recording is what ends the call. */
export async function recordMessage(
  tools: Tools,
  callId: string | undefined,
  maxS: number,
  signal: AbortSignal,
): Promise<ControlResult> {
  const body = {
    format: 'wav',
    channels: 'single',
    recording_track: 'inbound',
    play_beep: true,
    // No `timeout_secs`: Telnyx transcribes what it listens to for silence, and charges for that.
    max_length: maxS,
    client_state: writeClientState({ of: callId, stage: 'recording' }),
    command_id: commandId(callId ?? '', 'message', 'record'),
  };
  const first = await tools.command('record call', callId, 'record_start', body, signal);
  if (first.status !== 'error' || first.error.code !== 'CARRIER_REFUSED') return first;
  // Where the whole call is recorded already there is no room for a second one.
  await tools.command('stop the recording of call', callId, 'record_stop', {}, signal);
  return await tools.command(
    'record call',
    callId,
    'record_start',
    { ...body, command_id: commandId(callId ?? '', 'message', 'record again') },
    signal,
  );
}
