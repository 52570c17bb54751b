import type { AudioFormat } from '../../audio/format.ts';
import type { ProviderFacts } from '../../provider.ts';

/** What the line check hears and says: G.711 first, so that a phone's voice comes back as it came. */
export const FORMATS: readonly AudioFormat[] = Object.freeze([
  Object.freeze({ encoding: 'mulaw', rate: 8000 }),
  Object.freeze({ encoding: 'alaw', rate: 8000 }),
  Object.freeze({ encoding: 'pcm16', rate: 8000 }),
  Object.freeze({ encoding: 'pcm16', rate: 16_000 }),
  Object.freeze({ encoding: 'pcm16', rate: 24_000 }),
] as const);

/** What people have to know of the line check. */
export const LOCAL: ProviderFacts = Object.freeze({
  title: 'Line check',
  capabilities: Object.freeze({
    inputs: FORMATS,
    outputs: FORMATS,
    bargeIn: 'speech-started',
    speech: 'turns',
    truncate: true,
    cancel: true,
    resume: false,
    catchUp: true,
    cancelsTools: false,
    parallelTools: false,
    maxSessionMs: undefined,
    announcesEnd: false,
    history: undefined,
  }),
  defaultModel: undefined,
  models: Object.freeze([]),
  voices: Object.freeze(['slt', 'rms', 'awb', 'kal16']),
  languages: 'It speaks English and understands no language.',
  onBargeIn: 'It hears by itself that the caller speaks (400 ms of voice), and stops.',
  limits: Object.freeze([
    'It is no model: it plays back what it hears, measures it, and says so.',
    'At most 10 s of speech are played back.',
  ]),
});
