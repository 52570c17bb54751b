/**
 * Live models by the door at which they are found. Names that end in `-latest` are not in the guide, but connect
 * (NousResearch/hermes-agent#114116); whether Vertex AI has extended thinking is unsure.
 */
export const MODELS = {
  gemini: [
    'gemini-3.8-live',
    'gemini-3.8-live-extended-thinking',
    'gemini-3.1-flash-live-preview',
    'gemini-2.5-flash-native-audio-preview-12-2025',
    'gemini-2.5-flash-native-audio-latest',
  ],
  vertex: ['gemini-3.8-live', 'gemini-3.8-live-extended-thinking', 'gemini-live-2.5-flash-native-audio'],
} as const satisfies Record<string, readonly string[]>;

/** The prebuilt voices, which are the same for all models. */
export const VOICES = [
  'Achernar',
  'Achird',
  'Algenib',
  'Algieba',
  'Alnilam',
  'Aoede',
  'Autonoe',
  'Callirrhoe',
  'Charon',
  'Despina',
  'Enceladus',
  'Erinome',
  'Fenrir',
  'Gacrux',
  'Iapetus',
  'Kore',
  'Laomedeia',
  'Leda',
  'Orus',
  'Puck',
  'Pulcherrima',
  'Rasalgethi',
  'Sadachbia',
  'Sadaltager',
  'Schedar',
  'Sulafat',
  'Umbriel',
  'Vindemiatrix',
  'Zephyr',
  'Zubenelgenubi',
] as const;
