import { BridgeError } from '../../errors.ts';
import type { ToolContext } from '../../tools.ts';
import { readAnswer } from './answer-value.ts';
import { fillRequest } from './fill-request.ts';
import type { GuardedClient } from './guarded-client.ts';
import type { HttpHost } from './hosts.ts';
import type { RequestTemplate } from './request-template.ts';

interface AskDeps {
  readonly hosts: readonly HttpHost[];
  readonly client: GuardedClient;
}

interface AskLimits {
  readonly timeoutMs: number;
  readonly maxResponseBytes: number;
}

/** Makes the request of a function and returns what the model is told. Rejects with a BridgeError for it. */
export async function askService(
  limits: AskLimits,
  request: RequestTemplate,
  { hosts, client }: AskDeps,
  args: Readonly<Record<string, unknown>>,
  call: ToolContext,
): Promise<unknown> {
  const { url, headers, body } = fillRequest(request, { args, variables: variablesOf(call) });
  const answer = await client.request({
    method: request.method,
    url,
    headers: {
      accept: 'application/json, text/plain;q=0.9',
      'idempotency-key': call.idempotencyKey,
      ...headers,
    },
    body,
    hosts,
    timeoutMs: limits.timeoutMs,
    maxBytes: limits.maxResponseBytes,
    signal: call.signal,
  });
  const value = readAnswer(answer, request.secrets);
  if (value.ok) return value.value;
  throw new BridgeError('TOOL_FAILED', value.message);
}

/** What the carrier and the bridge say of the call comes last: whoever sets variables cannot pass for another caller. */
function variablesOf(call: ToolContext): Readonly<Record<string, string>> {
  return {
    ...call.variables,
    caller: call.from,
    callee: call.to,
    call_id: call.callId,
    carrier: call.carrier,
    direction: call.direction,
    agent: call.agent,
  };
}
