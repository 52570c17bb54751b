/** The model by its own name and by those of its inference profiles. */
export const MODELS: readonly string[] = [
  'amazon.nova-2-sonic-v1:0',
  'us.amazon.nova-2-sonic-v1:0',
  'global.amazon.nova-2-sonic-v1:0',
];

/** Models that the service had, until 2026-09-14. */
export const RETIRED: readonly string[] = ['amazon.nova-sonic-v1:0'];

/** Of the page on languages in the guide to Nova 2. */
export const VOICES: readonly string[] = [
  'tiffany',
  'matthew',
  'amy',
  'olivia',
  'kiara',
  'arjun',
  'ambre',
  'florian',
  'beatrice',
  'lorenzo',
  'tina',
  'lennart',
  'lupe',
  'carlos',
  'carolina',
  'leo',
];
