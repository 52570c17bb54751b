import type { CallHandle, RestReply, RestRequest, RestRules } from '../carrier-sim.ts';

const CALL_PATH = /^\/2010-04-01\/Accounts\/(AC[0-9a-f]{32})\/Calls\/(CA[0-9a-f]{32})\.json$/;

const FAULT_CODES: Readonly<Record<number, readonly [number, string]>> = {
  400: [21220, 'Call is not in-progress. Cannot redirect.'],
  404: [20404, 'The requested resource was not found'],
  429: [20429, 'Too Many Requests'],
  503: [20503, 'Service unavailable'],
};

/** Twilio's REST interface: to be used in the place of `https://api.twilio.com`. */
export const TWILIO_REST: RestRules = {
  callId: ({ path }) => CALL_PATH.exec(path)?.[2],
  serve(request, call) {
    if (call === undefined || CALL_PATH.exec(request.path)?.[1] !== call.identity.accountId)
      return fault(404);
    return perform(request, call);
  },
  fault,
};

function perform(request: RestRequest, call: CallHandle): RestReply {
  const { accountId, authToken } = call.identity;
  const wanted = `Basic ${Buffer.from(`${accountId}:${authToken}`).toString('base64')}`;
  if (request.headers.authorization !== wanted) return error(401, 20003, 'Authenticate');
  if (request.method === 'GET') return describe(call);
  if (request.method !== 'POST') return error(405, 20004, 'Method not allowed');
  return update(new URLSearchParams(request.body), call);
}

function update(form: URLSearchParams, call: CallHandle): RestReply {
  const twiml = form.get('Twiml');
  const url = form.get('Url');
  const status = form.get('Status');
  if (call.isOver) return fault(400);
  if (twiml !== null && twiml.length > 4000) return error(400, 21218, 'Twiml is longer than 4000 characters');
  if (status === 'completed') call.hangUp('rest');
  else if (twiml !== null) call.replaceDocument({ text: twiml });
  else if (url !== null) {
    call.replaceDocument({ url, method: form.get('Method') === 'GET' ? 'GET' : 'POST' });
  } else return error(400, 20001, 'Status, Twiml or Url is needed');
  return describe(call);
}

function describe({ identity, status }: CallHandle): RestReply {
  const { accountId, callId } = identity;
  return {
    status: 200,
    body: {
      sid: callId,
      account_sid: accountId,
      api_version: '2010-04-01',
      status,
      uri: `/2010-04-01/Accounts/${accountId}/Calls/${callId}.json`,
    },
  };
}

function fault(status: number): RestReply {
  const [code, message] = FAULT_CODES[status] ?? [20500, 'An internal server error has occurred'];
  return error(status, code, message);
}

function error(status: number, code: number, message: string): RestReply {
  const more_info = `https://www.twilio.com/docs/errors/${code}`;
  return { status, body: { code, message, more_info, status } };
}
