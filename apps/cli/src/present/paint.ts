/** Colours, and what may reach a terminal at all. */
import pc from 'picocolors';

export type Paint = Pick<
  ReturnType<typeof pc.createColors>,
  'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'
>;

export const paintFor = (colour: boolean): Paint => pc.createColors(colour);

/** Text from elsewhere (hooks, tools, Redis) without what would steer the terminal; line breaks and tabs become spaces. */
export const oneLine = (text: string): string => printable(text.replace(/[\t\r\n]+/g, ' '));

/** As `oneLine`, but line breaks stay. */
export const printable = (text: string): string =>
  text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, '?');
