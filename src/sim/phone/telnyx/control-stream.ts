import type { StreamVerb } from '../verbs.ts';
import { type Body, isBody, textOf } from './params.ts';

/** What a command names, and the same by the names of TeXML. */
const SETTINGS: Readonly<Record<string, string>> = {
  stream_codec: 'codec',
  stream_bidirectional_mode: 'bidirectionalMode',
  stream_bidirectional_codec: 'bidirectionalCodec',
  stream_bidirectional_sampling_rate: 'bidirectionalSamplingRate',
  stream_bidirectional_target_legs: 'targetLegs',
  stream_auth_token: 'authToken',
};

/** The stream that a command asks for; undefined when it asks for none. */
export function streamVerb(body: Body): StreamVerb | undefined {
  const url = textOf(body, 'stream_url');
  if (url === undefined) return undefined;
  const settings: Record<string, string> = {};
  for (const [name, ours] of Object.entries(SETTINGS)) {
    const value = body[name];
    if (typeof value === 'string' || typeof value === 'number') settings[ours] = String(value);
  }
  return {
    url,
    name: undefined,
    track: textOf(body, 'stream_track'),
    statusCallback: undefined,
    statusCallbackMethod: 'POST',
    parameters: parametersOf(body['custom_parameters']),
    settings,
  };
}

function parametersOf(list: unknown): Record<string, string> {
  const parameters: Record<string, string> = {};
  for (const one of Array.isArray(list) ? list : []) {
    if (isBody(one)) parameters[String(one['name'])] = String(one['value']);
  }
  return parameters;
}
