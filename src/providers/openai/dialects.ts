import type { Dialect } from './dialect.ts';
import { FORMATS, MANY_FORMATS } from './formats.ts';
import { betaSession, gaSession, inworldSession, voiceLiveSession, xaiSession } from './sessions.ts';
import {
  betaTurnDetection,
  gaTurnDetection,
  semanticFirst,
  type VoiceLiveTurns,
  voiceLiveTurnDetection,
  xaiTurnDetection,
} from './turn-detection.ts';

/** OpenAI, Azure OpenAI, and servers that keep up with them. */
export const GA: Dialect = Object.freeze({
  formats: FORMATS,
  session: gaSession,
  turnDetection: gaTurnDetection,
  assistantText: 'output_text',
  quietsFunctions: true,
  script: 'instructions',
  truncates: true,
  resumes: false,
  abandons: false,
  rewritesHeard: false,
});

/** What OpenAI spoke at first, and compatible servers and the preview of Azure OpenAI still do. */
export const BETA: Dialect = Object.freeze({
  ...GA,
  session: betaSession,
  turnDetection: betaTurnDetection,
  assistantText: 'text',
});

export const INWORLD: Dialect = Object.freeze({
  ...GA,
  formats: MANY_FORMATS,
  session: inworldSession,
  turnDetection: semanticFirst,
});

/** xAI's Voice Agent API as docs.x.ai/voice-realtime.ws.json has it. */
export function xaiDialect(own: {
  readonly truncates: boolean;
  readonly scripted: boolean;
  readonly resumes: boolean;
}): Dialect {
  return Object.freeze<Dialect>({
    formats: MANY_FORMATS,
    session: xaiSession,
    turnDetection: xaiTurnDetection,
    assistantText: 'output_text',
    quietsFunctions: false,
    script: own.scripted ? 'force-message' : 'instructions',
    truncates: own.truncates,
    resumes: own.resumes,
    // Seen by livekit/agents, whose client discards such a response.
    abandons: true,
    rewritesHeard: true,
  });
}

/** Azure Voice Live as the types of `@azure/ai-voicelive` 1.1.0 have it. */
export function voiceLiveDialect(own: VoiceLiveTurns & { readonly scripted: boolean }): Dialect {
  return Object.freeze<Dialect>({
    formats: MANY_FORMATS,
    session: voiceLiveSession,
    turnDetection: (wanted, language) => voiceLiveTurnDetection(wanted, language, own),
    assistantText: 'text',
    quietsFunctions: true,
    script: own.scripted ? 'pre-generated' : 'instructions',
    truncates: !own.autoTruncate,
    resumes: false,
    abandons: false,
    rewritesHeard: false,
  });
}
