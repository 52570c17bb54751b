import type { Rate } from '../../audio/format.ts';
import { isObject, type JsonObject } from '../common/json.ts';
import type { SessionConfig, ToolSpec } from './api.ts';
import { objectOf, textOf } from './check.ts';

/** What the bodies of `sessionStart` and `promptStart` ask for; both were checked. */
export function sessionOf(started: JsonObject, prompt: JsonObject): SessionConfig {
  const audio = objectOf(prompt, 'audioOutputConfiguration');
  const sensitivity = objectOf(started, 'turnDetectionConfiguration')['endpointingSensitivity'];
  return {
    promptName: textOf(prompt, 'promptName'),
    voice: textOf(audio, 'voiceId'),
    outputRate: rateOf(audio),
    sensitivity: sensitivity === 'MEDIUM' || sensitivity === 'LOW' ? sensitivity : 'HIGH',
    toolChoice: objectOf(objectOf(prompt, 'toolConfiguration'), 'toolChoice'),
    inference: objectOf(started, 'inferenceConfiguration'),
  };
}

/** The functions that a `promptStart` brings. */
export function toolsOf(prompt: JsonObject): readonly ToolSpec[] {
  const { tools } = objectOf(prompt, 'toolConfiguration');
  if (!Array.isArray(tools)) return [];
  return tools.filter(isObject).map((tool) => {
    const spec = objectOf(tool, 'toolSpec');
    return {
      name: textOf(spec, 'name'),
      description: textOf(spec, 'description'),
      schema: textOf(objectOf(spec, 'inputSchema'), 'json'),
    };
  });
}

/** The rate of an audio configuration that was checked. */
export function rateOf(configuration: JsonObject): Rate {
  const rate = configuration['sampleRateHertz'];
  return rate === 8_000 || rate === 24_000 ? rate : 16_000;
}
