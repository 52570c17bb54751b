import type { Agent } from '../../agents.ts';
import type { CarrierName } from '../../carrier.ts';
import { systemClock } from '../../clock.ts';
import type { Env } from '../../config.ts';
import { BridgeError } from '../../errors.ts';
import { createLog } from '../../log.ts';
import { agentFrom } from '../../recording/agent-record.ts';
import { MemorySink } from '../../recording/memory-sink.ts';
import { Recorder } from '../../recording/recorder.ts';
import type { StoredCall } from '../../recording/stored-call.ts';
import { createBridge } from '../../server.ts';
import { type Exchange, startExchange } from '../../sim/phone.ts';
import type { Tool } from '../../tools.ts';
import type { LiveView } from '../live-view.ts';
import { newAccount, settingsFor } from '../simulated-account.ts';
import { callerScript } from './caller-script.ts';
import { type Cast, hiredCast, recordedCast } from './cast.ts';
import { playCaller } from './live-caller.ts';
import { RecordedTools } from './recorded-tools.ts';

export interface LiveCallOptions {
  readonly stored: StoredCall;
  /** As agents name it, or `simulated:` and such a name; undefined: the recorded ones are played. */
  readonly provider: string | undefined;
  /** Undefined: that of the call. */
  readonly carrier: CarrierName | undefined;
  /** In the place of that of the call; its functions do what they did in the call. */
  readonly agent: Agent | undefined;
  readonly env: Env;
  readonly view: LiveView;
  readonly signal: AbortSignal;
}

/** A call that was played once more in real time. */
export interface LiveCall {
  readonly found: StoredCall;
  /** What could not be as it was, in sentences. */
  readonly notes: readonly string[];
}

/**
 * The caller of a stored call speaks once more, on a simulated phone and in real time, to a service with another provider,
 * by way of another carrier, or both. Rejects with BAD_CONFIG when the provider cannot be had, and with BAD_INPUT when
 * there is none of that name.
 */
export async function playLive(options: LiveCallOptions): Promise<LiveCall> {
  const { stored, provider, env } = options;
  await using cast = provider === undefined ? recordedCast(stored) : await hiredCast(stored, provider, env);
  const tools = new RecordedTools(stored, systemClock);
  const found = await play(options, cast, agentOf(options, tools));
  return { found, notes: [...cast.notes, ...notesOn(stored, tools)] };
}

async function play(options: LiveCallOptions, cast: Cast, agent: Agent): Promise<StoredCall> {
  const { stored, view } = options;
  const { leadMs } = stored.call;
  const carrier = options.carrier ?? stored.call.carrier;
  const account = newAccount(carrier);
  await using exchange = await startExchange({
    carrier,
    defaults: { accountSid: account.id, authToken: account.secret },
  });
  const sink = new MemorySink();
  const recorder = new Recorder({
    clock: systemClock,
    network: cast.network,
    log: createLog('silent'),
    decide: () => ({ timers: false }),
    open: () => sink,
    origin: { how: 'simulated' },
    settings: {},
    leadMs,
  });
  {
    await using bridge = await createBridge({
      config: cast.config(settingsFor(carrier, account, exchange.restBaseUrl ?? '')),
      agent,
      provider: cast.providers,
      tapes: recorder,
      fetch: recorder.tapFetch(),
      leadMs,
      log: createLog('silent'),
      observe: (_callId, event) => view.bridge(event),
    });
    await call(options, await bridge.listen(), exchange);
  }
  return sink.stored();
}

async function call(
  { stored, carrier, view, signal }: LiveCallOptions,
  url: string,
  exchange: Exchange,
): Promise<void> {
  const by = carrier ?? stored.call.carrier;
  // Telnyx asks applications of both kinds; the kind stays as it was.
  const route = by === 'telnyx' && stored.call.control === 'command' ? 'events' : 'voice';
  const phone = exchange.placeCall({
    webhookUrl: `${url}/${route}/${by}`,
    statusCallbackUrl: `${url}/status/${by}`,
  });
  view.line('phone', `calls by way of ${by}`);
  const report = await playCaller(phone, callerScript(stored), signal);
  view.line('phone', `call over, ended by ${report.endedBy}`);
  view.close();
  signal.throwIfAborted();
  if (report.firstStreamMs !== undefined) return;
  const why = report.failure ?? `the call was ${report.outcome}`;
  throw new BridgeError('CARRIER_UNAVAILABLE', `the call never came up: ${why}`);
}

function agentOf({ stored, agent, provider }: LiveCallOptions, tools: RecordedTools): Agent {
  const { call } = stored;
  if (agent !== undefined) {
    return {
      ...agent,
      tools: agent.tools.map((tool) => (tool.builtIn === undefined ? played(tool, tools) : tool)),
    };
  }
  const made = agentFrom(call.agent, { tool: (tool) => played(tool, tools) });
  // A voice is one of its provider.
  const isKnown =
    provider === undefined || call.providers.some(({ name }) => name === provider.replace(/^simulated:/, ''));
  return isKnown ? made : { ...made, voice: undefined };
}

function played(tool: Tool, tools: RecordedTools): Tool {
  return { ...tool, run: (args, context) => tools.run(tool.definition.name, args, context) };
}

function notesOn({ call, lines }: StoredCall, tools: RecordedTools): readonly string[] {
  const notes: string[] = [];
  for (const [name, count] of tools.missing) {
    notes.push(`${name} was called ${count} times more than the call has results for, and failed`);
  }
  if (call.direction === 'outbound') notes.push('the call was placed by the service; here the caller calls');
  if (lines.some((line) => line.on === 'carrier' && line.conn > 1)) {
    notes.push('the call had several media streams; here it has one');
  }
  if (call.redacted !== undefined && call.redacted.speech !== 'none' && call.redacted.speech !== 'agent') {
    notes.push('what the caller said was taken out of the call: nobody can understand it');
  }
  return notes;
}
