import { isObject, type JsonObject } from '../common/json.ts';
import {
  anything,
  arrayOf,
  decimal,
  missing,
  nullable,
  object,
  oneOf,
  type Rule,
  record,
  tagged,
  text,
} from './check.ts';
import type { ServerDialect } from './dialect.ts';
import { maxTokensRule, metadataRule, toolChoiceRule, toolsRule, turnDetectionRule } from './rules.ts';
import { fillIn, mergeSession, SEMANTIC_VAD, type SessionConfig } from './session-config.ts';
import type { WireEvent } from './wire.ts';

const format: Rule = tagged('type', {
  'audio/pcm': object({ type: text, rate: anything }),
  'audio/pcmu': object({ type: text }),
  'audio/pcma': object({ type: text }),
});

const SPOKEN: Readonly<Record<string, Rule>> = {
  model: text,
  instructions: text,
  output_modalities: arrayOf(oneOf('text', 'audio')),
  temperature: decimal(0, 2),
  tools: toolsRule,
  tool_choice: toolChoiceRule,
  max_output_tokens: maxTokensRule,
};

const sessionRule: Rule = object({
  ...SPOKEN,
  type: oneOf('realtime'),
  audio: object({
    input: object({
      format,
      transcription: nullable(object({ model: text, language: text, prompt: text })),
      turn_detection: turnDetectionRule,
    }),
    output: object({ format, voice: text, model: text, speed: decimal(0.5, 1.5) }),
  }),
  providerData: record,
});

const responseRule: Rule = object({
  ...SPOKEN,
  conversation: text,
  input: arrayOf(record),
  metadata: metadataRule,
});

/** Inworld Realtime: GA, with the model in the session, voices of its own, and turns that are found by sense. */
export const INWORLD: ServerDialect = {
  read(event) {
    if (event.type !== 'response.create' || !isObject(event['response'])) return event;
    responseRule(event['response'], 'response');
    const { model: _, temperature: __, ...response } = event['response'];
    return { ...event, response };
  },
  write: (event: WireEvent) => (event.type === 'rate_limits.updated' ? undefined : event),
  update(current, patch) {
    if (patch === undefined) throw missing('session');
    sessionRule(patch, 'session');
    return fillIn(mergeSession(current, patch as JsonObject) as unknown as SessionConfig);
  },
  show: ({ own: _, ...session }) => session,
  starts: (session) => ({
    ...session,
    audio: {
      input: { ...session.audio.input, turn_detection: SEMANTIC_VAD },
      output: { ...session.audio.output, voice: 'Dennis' },
    },
  }),
  lacks: [],
  namesConversation: false,
  rewritesHeard: false,
  // Not documented; its session is that of OpenAI otherwise.
  namesEnd: true,
};
