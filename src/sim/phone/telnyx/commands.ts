import type { RestReply } from '../carrier-sim.ts';
import type { ControlCall } from './control-call.ts';
import { SPEECH_MS_PER_CHARACTER } from './control-speech.ts';
import { streamVerb } from './control-stream.ts';
import { OtherLeg } from './control-transfer.ts';
import { cannot, FAULTS, type Fault, refuse } from './errors.ts';
import { ACTIONS, type ActionName, type Body, faultsOf, missing, textOf, warnOfNames } from './params.ts';
import type { Switchboard } from './switchboard.ts';

/** Where commands find other legs, and where files can be fetched. */
export interface CommandContext {
  readonly switchboard: Switchboard;
  /** Of the REST interface. */
  readonly baseUrl: string;
  /** The leg of Call Control with this id, if there is one. */
  find(controlId: string): ControlCall | undefined;
}

/** Does it; a fault says why not, a body is added to the answer. */
type Command = (leg: ControlCall, body: Body, context: CommandContext) => Fault | Body | undefined;

const FILE_MS = 2000;

const COMMANDS: Readonly<Record<ActionName, Command>> = {
  answer,
  reject,
  hangup: (leg) => {
    leg.call.hangUp('rest');
    return undefined;
  },
  streaming_start: startStream,
  streaming_stop: (leg) => {
    leg.driver.stopStream();
    return undefined;
  },
  transfer,
  bridge,
  send_dtmf: (leg, body) => {
    leg.call.log.add({ type: 'agent-keys', digits: textOf(body, 'digits') ?? '' });
    return undefined;
  },
  record_start: startRecording,
  record_stop: stopRecording,
  speak,
  playback_start: play,
  playback_stop: (leg, body) => {
    leg.speech.stop(body['stop'] !== 'current');
    return undefined;
  },
};

/** Commands that a call takes while it is ringing. */
const WHILE_RINGING: readonly ActionName[] = ['answer', 'reject', 'hangup', 'transfer', 'streaming_stop'];

/** Commands of Call Control, by the last part of their path. */
export function actionNamed(name: string): ActionName | undefined {
  return Object.hasOwn(ACTIONS, name) ? (name as ActionName) : undefined;
}

/** One command to one leg. */
export function command(leg: ControlCall, name: ActionName, body: Body, context: CommandContext): RestReply {
  const faults = faultsOf(body, ACTIONS[name]);
  if (faults.length > 0) return refuse(422, ...faults);
  warnOfNames(leg.call.log, name, body, ACTIONS[name]);
  const id = textOf(body, 'command_id');
  if (leg.isRepeated(id)) return done();
  const fault = stateFault(leg, name);
  const result = fault ?? perform(leg, name, body, context);
  if (result !== undefined && isFault(result)) {
    leg.forget(id);
    return refuse(422, result);
  }
  return done(result);
}

function perform(
  leg: ControlCall,
  name: ActionName,
  body: Body,
  context: CommandContext,
): Fault | Body | undefined {
  // What is said with the command is in its own events already.
  const before = leg.clientState;
  if (name !== 'record_start') leg.adopt(body);
  const result = COMMANDS[name](leg, body, context);
  if (result !== undefined && isFault(result) && before !== undefined) leg.adopt({ client_state: before });
  return result;
}

function stateFault(leg: ControlCall, name: ActionName): Fault | undefined {
  if (leg.call.isOver || leg.call.leaving.aborted) return FAULTS.ended;
  return leg.call.isAnswered || WHILE_RINGING.includes(name) ? undefined : FAULTS.notAnswered;
}

function isFault(result: Fault | Body): result is Fault {
  return 'code' in result && 'title' in result;
}

function done(more?: Body): RestReply {
  return { status: 200, body: { data: { result: 'ok', ...more } } };
}

function answer(leg: ControlCall, body: Body, { baseUrl }: CommandContext): Fault | Body | undefined {
  const isInbound = leg.call.options.order === undefined;
  if (!isInbound) return cannot('Only an incoming call can be answered.');
  if (leg.call.isAnswered) return cannot('This call has already been answered.');
  leg.driver.context.answer();
  if (leg.settings.answerStreams === 'yes') leg.driver.startAsOrdered(body);
  return recordFromAnswer(leg, body, baseUrl);
}

/** What `record` of an order or an answer asks for. */
export function recordFromAnswer(leg: ControlCall, body: Body, baseUrl: string): Body | undefined {
  if (body['record'] !== 'record-from-answer') return undefined;
  const format = body['record_format'] === 'wav' ? 'wav' : 'mp3';
  const channels = body['record_channels'] === 'single' ? 'single' : 'dual';
  return { recording_id: leg.recordings.start({ format, channels, clientState: undefined }, baseUrl) };
}

function reject(leg: ControlCall, body: Body): Fault | undefined {
  const isInbound = leg.call.options.order === undefined;
  if (!isInbound || leg.call.isAnswered) return cannot('Only a ringing incoming call can be rejected.');
  leg.driver.reject(body['cause'] === 'USER_BUSY' ? 'busy' : 'rejected');
  return undefined;
}

function startStream(leg: ControlCall, body: Body): Fault | undefined {
  const verb = streamVerb(body);
  if (verb === undefined) return missing('stream_url');
  if (leg.driver.isStreaming) return FAULTS.streaming;
  leg.driver.openStream(verb);
  return undefined;
}

function transfer(leg: ControlCall, body: Body, { switchboard }: CommandContext): Fault | undefined {
  if (leg.isBridged || leg.isTransferring)
    return cannot('This call is already bridged or being transferred.');
  if (textOf(body, 'audio_url') !== undefined && textOf(body, 'media_name') !== undefined) {
    return cannot('audio_url and media_name cannot be used together in one request.');
  }
  const other = new OtherLeg(leg, body);
  leg.otherLeg = other;
  switchboard.add(other);
  other.ring().catch(() => {});
  return undefined;
}

function bridge(leg: ControlCall, body: Body, { find }: CommandContext): Fault | undefined {
  const other = find(textOf(body, 'call_control_id') ?? '');
  if (other === undefined || other === leg) return FAULTS.invalidCall;
  const fault = stateFault(other, 'bridge');
  if (fault !== undefined) return fault;
  if (leg.isBridged || other.isBridged) return cannot('One of the calls is already bridged.');
  leg.bridge(other, body['park_after_unbridge'] === 'self');
  return undefined;
}

function startRecording(leg: ControlCall, body: Body, { baseUrl }: CommandContext): Fault | Body | undefined {
  if (leg.recordings.isRunning) return cannot('This call is already being recorded.');
  const format = body['format'] === 'mp3' ? 'mp3' : 'wav';
  const channels = body['channels'] === 'single' ? 'single' : 'dual';
  leg.recordings.start({ format, channels, clientState: textOf(body, 'client_state') }, baseUrl);
  const isBeep = body['play_beep'] === true;
  const limitS = Number(body['max_length'] ?? 0);
  // Whoever talks with a stream is heard by it.
  if ((isBeep || limitS > 0) && !leg.driver.isStreaming) takeMessage(leg, isBeep, limitS);
  return undefined;
}

function takeMessage(leg: ControlCall, beep: boolean, limitS: number): void {
  const terms = {
    limitMs: limitS === 0 ? undefined : limitS * 1000,
    silenceMs: undefined,
    silenceAfterSpeech: true,
    keys: '',
    beep,
  };
  const over = (): void => leg.call.callBack(leg.stopRecording());
  leg.driver.context.listen(terms, leg.call.leaving).then(over, over);
}

function stopRecording(leg: ControlCall): Fault | undefined {
  if (!leg.recordings.isRunning) return cannot('This call is not being recorded.');
  leg.call.callBack(leg.stopRecording());
  return undefined;
}

function speak(leg: ControlCall, body: Body): undefined {
  const text = textOf(body, 'payload') ?? '';
  const { log } = leg.call;
  log.add({ type: 'say', text, language: textOf(body, 'language') });
  // What the other leg of a transfer is told belongs to the call that it was dialled for.
  if (leg.linkedTo !== undefined && !leg.isBridged && !leg.linkedTo.call.isOver) {
    leg.linkedTo.call.log.add({ type: 'leg-told', text });
  }
  makeRoom(leg, body);
  leg.speech.play({ name: 'speak', lengthMs: text.length * SPEECH_MS_PER_CHARACTER, fields: {} });
}

function play(leg: ControlCall, body: Body): Fault | undefined {
  const sources = ['audio_url', 'media_name', 'playback_content'].filter((name) => body[name] !== undefined);
  if (sources.length !== 1) return missing('audio_url');
  const url = textOf(body, 'audio_url');
  const name = textOf(body, 'media_name');
  leg.call.log.add({ type: 'play', url: url ?? name ?? '', digits: undefined });
  makeRoom(leg, body);
  const fields = { media_url: url, media_name: name, overlay: body['overlay'] === true };
  leg.speech.play({ name: 'playback', lengthMs: FILE_MS, fields });
  return undefined;
}

function makeRoom(leg: ControlCall, body: Body): void {
  if (body['stop'] !== undefined) leg.speech.stop(body['stop'] === 'all');
}
