import type {
  CallHandle,
  CarrierSim,
  RestExchange,
  RestReply,
  RestRequest,
  RestRules,
} from '../carrier-sim.ts';
import { CODES } from './codes.ts';
import type { CommandContext } from './commands.ts';
import { actionNamed } from './commands.ts';
import { ControlCall } from './control-call.ts';
import { act, actOnOther, dial, readBody, showCall, shown } from './control-rest.ts';
import { FAULTS, refuse, usualFault } from './errors.ts';
import { identify } from './identity.ts';
import { ACTIONS, faultsOf } from './params.ts';
import { recordingPath } from './recording.ts';
import { readSettings } from './settings.ts';
import { Switchboard } from './switchboard.ts';
import { TexmlCall } from './texml-call.ts';
import { actOnTexml, createCall, describeCall, readFields, recordCall, updateCall } from './texml-rest.ts';

const CONTROL_PATH = /^\/v2\/calls\/([^/]+)(?:\/actions\/([a-z_]+))?$/;
const TEXML_PATH =
  /^\/v2\/texml\/Accounts\/([^/]+)\/Calls(?:\/([^/]+?)(?:\.json|\/Recordings\.json|\/Recordings\/([^/]+)\.json)?)?$/;
const CONTROL_ID = /^v[23]:[\w-]{20,}$/;

/** Telnyx: documents (TeXML) or events and commands (Call Control), and a signature over the body of what it sends. */
export function createTelnyxSim(): CarrierSim {
  const switchboard = new Switchboard();
  return {
    name: 'telnyx',
    codes: CODES,
    rest: createRest(switchboard),
    identify,
    attend: (call) => {
      const settings = readSettings(call.options);
      return settings.control === 'texml'
        ? switchboard.attendTexml(call, new TexmlCall(call, settings))
        : switchboard.attendControl(call, new ControlCall(call, settings, switchboard.linkTo));
    },
  };
}

function createRest(switchboard: Switchboard): RestRules {
  return {
    callId: ({ path }) => {
      const id = CONTROL_PATH.exec(path)?.[1] ?? TEXML_PATH.exec(path)?.[2];
      return id === undefined ? recordingPath(path)?.callId : decodeURIComponent(id);
    },
    serve: (request, call, exchange) => {
      // The address of a recording is as good as a key.
      const recording = recordingPath(request.path);
      if (recording !== undefined) return serveFile(call, recording.id, switchboard);
      const { authToken } = call?.identity ?? exchange.account;
      if (request.headers.authorization !== `Bearer ${authToken}`) return refuse(401, FAULTS.unauthorized);
      return serve(request, call, exchange, switchboard);
    },
    fault: usualFault,
  };
}

function serve(
  request: RestRequest,
  call: CallHandle | undefined,
  exchange: RestExchange,
  switchboard: Switchboard,
): RestReply {
  const { path, method } = request;
  if (path === '/v2/calls' && method === 'POST') {
    const body = readBody(request.body);
    return body === undefined ? refuse(400, FAULTS.badRequest) : dial(body, exchange, switchboard);
  }
  const control = CONTROL_PATH.exec(path);
  if (control !== null) return serveControl(request, control, call, exchange, switchboard);
  const texml = TEXML_PATH.exec(path);
  return texml === null
    ? refuse(404, FAULTS.notFound)
    : serveTexml(request, texml, call, exchange, switchboard);
}

function serveControl(
  { method, body: text }: RestRequest,
  [, id = '', action]: RegExpExecArray,
  call: CallHandle | undefined,
  exchange: RestExchange,
  switchboard: Switchboard,
): RestReply {
  const isLook = action === undefined;
  if (method !== (isLook ? 'GET' : 'POST')) return refuse(404, FAULTS.notFound);
  const body = readBody(text);
  if (body === undefined) return refuse(400, FAULTS.badRequest);
  if (call === undefined) return serveUnknown(decodeURIComponent(id), action, switchboard);
  const texml = switchboard.texml(call);
  if (texml !== undefined) {
    if (isLook) return shown(call, texml.ids, undefined, texml.startedMs, texml.endedMs);
    const known = actionNamed(action);
    const faults = known === undefined ? [] : faultsOf(body, ACTIONS[known]);
    return faults.length > 0
      ? refuse(422, ...faults)
      : actOnTexml(call, texml, action, body, exchange.baseUrl);
  }
  const leg = switchboard.control(call);
  if (leg === undefined) return refuse(404, FAULTS.notFound);
  if (isLook) return showCall(leg);
  const context: CommandContext = {
    switchboard,
    baseUrl: exchange.baseUrl,
    find: (controlId) => {
      const handle = exchange.find(controlId);
      return handle && switchboard.control(handle);
    },
  };
  return act(leg, action, body, context);
}

function serveUnknown(id: string, action: string | undefined, switchboard: Switchboard): RestReply {
  const other = switchboard.other(id);
  if (other !== undefined) return actOnOther(other, action);
  return CONTROL_ID.test(id) ? refuse(404, FAULTS.notFound) : refuse(422, FAULTS.invalidCall);
}

function serveTexml(
  request: RestRequest,
  [, account, sid, recordingSid]: RegExpExecArray,
  call: CallHandle | undefined,
  exchange: RestExchange,
  switchboard: Switchboard,
): RestReply {
  if (account !== (call?.identity ?? exchange.account).accountId) return refuse(404, FAULTS.notFound);
  const fields = readFields(request);
  if (fields === undefined) return refuse(400, FAULTS.badRequest);
  if (sid === undefined) {
    return request.method === 'POST' ? createCall(fields, exchange) : refuse(404, FAULTS.notFound);
  }
  const texml = call && switchboard.texml(call);
  if (call === undefined || texml === undefined) return refuse(404, FAULTS.notFound);
  if (request.path.includes('/Recordings')) {
    return recordCall(call, texml, recordingSid, fields, exchange.baseUrl);
  }
  return request.method === 'GET' ? describeCall(call) : updateCall(call, texml, fields);
}

function serveFile(call: CallHandle | undefined, id: string, switchboard: Switchboard): RestReply {
  const leg = call && (switchboard.control(call) ?? switchboard.texml(call));
  const bytes = leg?.recordings.file(id);
  if (bytes === undefined) return refuse(404, FAULTS.notFound);
  return { status: 200, body: bytes, headers: { 'content-type': 'audio/wav' } };
}
