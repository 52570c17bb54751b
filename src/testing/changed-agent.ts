import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Agent } from '../agents.ts';
import type { IncomingCall } from '../carrier.ts';
import { systemClock } from '../clock.ts';
import type { Env } from '../config.ts';
import { BridgeError } from '../errors.ts';
import { isRecord } from '../is-record.ts';
import { createLog } from '../log.ts';
import { systemRandom } from '../random.ts';
import type { StoredCall } from '../recording/stored-call.ts';
import { KEY, settingsOf } from '../replay/settings.ts';
import { assembleService } from '../server/service.ts';

/** An agent of a file. */
export interface AgentChoice {
  readonly file: string;
  /** Default: the one of the same name as in the call. */
  readonly name?: string | undefined;
  /** What `${NAME}` in the file stands for. */
  readonly env: Env;
}

/**
 * The agent of a file as it would take a stored call: its texts are filled with the call's numbers, time and variables.
 * Rejects with BAD_CONFIG for a file with mistakes, and with BAD_INPUT when it has no such agent.
 */
export async function agentFor(stored: StoredCall, { file, name, env }: AgentChoice): Promise<Agent> {
  const { call } = stored;
  const dataDir = await mkdtemp(join(tmpdir(), 'patchcord-replay-'));
  try {
    const config = settingsOf(stored);
    const service = await assembleService({
      config: { ...config, agentsFile: file, dataDir },
      env,
      clock: { ...systemClock, epoch: () => call.epochMs },
      log: createLog('silent'),
      random: systemRandom,
      localAuthToken: KEY,
      publicUrl: () => config.publicUrl ?? '',
    });
    try {
      const wanted = name ?? call.agent.name;
      const { roster } = service;
      const terms = roster.termsFor(wanted, call.carrier, incomingOf(stored), call.agent.variables);
      if (terms !== undefined) return terms.agent;
      throw new BridgeError(
        'BAD_INPUT',
        `${file}: found no agent ${JSON.stringify(wanted)}, wanted one of ${roster.agents.join(', ')}`,
      );
    } finally {
      await service.close(async () => undefined);
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** As much of the call as texts of agents may name. */
function incomingOf({ call, lines }: StoredCall): IncomingCall {
  const first = lines.find((line) => line.on === 'webhook' && line.dir === 'in');
  const fields = first?.on === 'webhook' && 'route' in first.msg ? fieldsOf(first.msg) : {};
  const text = (...names: readonly string[]): string => {
    const found = names.map((name) => fields[name]).find((value) => typeof value === 'string');
    return typeof found === 'string' ? found : '';
  };
  return {
    callId: text('CallSid', 'CallUUID', 'call_control_id'),
    direction: call.direction,
    from: text('From', 'from'),
    to: text('To', 'to'),
    callerName: text('CallerName', 'caller_id_name') || undefined,
    ref: undefined,
    control: call.control,
  };
}

/** A form as it is; JSON webhooks have theirs in `data.payload`. */
function fieldsOf({
  form,
  json,
}: {
  readonly form?: unknown;
  readonly json?: unknown;
}): Record<string, unknown> {
  if (isRecord(form)) return form;
  const data = isRecord(json) ? json['data'] : undefined;
  const payload = isRecord(data) ? data['payload'] : undefined;
  return isRecord(payload) ? payload : {};
}
