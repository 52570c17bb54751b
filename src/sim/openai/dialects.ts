import { BETA } from './beta.ts';
import type { DialectName, ServerDialect } from './dialect.ts';
import { INWORLD } from './inworld.ts';
import { responseRule } from './rules.ts';
import { updateSession } from './session-config.ts';
import { VOICE_LIVE } from './voice-live.ts';
import { XAI } from './xai.ts';

const GA: ServerDialect = {
  read(event) {
    const { response } = event;
    if (event.type === 'response.create' && response !== undefined && response !== null) {
      responseRule(response, 'response');
    }
    return event;
  },
  write: (event) => event,
  update: updateSession,
  show: ({ own: _, ...session }) => session,
  starts: (session) => session,
  lacks: [],
  namesConversation: false,
  rewritesHeard: false,
  namesEnd: true,
};

/** Every server that can be played. */
export const DIALECTS: Readonly<Record<DialectName, ServerDialect>> = {
  ga: GA,
  beta: BETA,
  xai: XAI,
  'voice-live': VOICE_LIVE,
  inworld: INWORLD,
};
