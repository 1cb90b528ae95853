/**
 * A writer of SVG: a handful of shapes as text, positions rounded to a tenth, so that the same
 * figures give the same bytes. Colours of text and lines are classes, which a dark page turns.
 */

/** Colour of text and lines by meaning: `ink` on the sheet, `soft` for what is said beside it. */
export type Tone = 'ink' | 'soft' | 'good' | 'bad';

export interface TextStyle {
  readonly size?: number;
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly tone?: Tone;
  readonly bold?: boolean;
  /** Instead of a tone: a fixed colour, for text on a coloured shape. */
  readonly fill?: string;
}

const STYLE = `
text { font-family: system-ui, "Segoe UI", "DejaVu Sans", Arial, sans-serif; }
.sheet { fill: #ffffff; stroke: #d0d7de; }
.tile { fill: #f4f6f8; }
.track { fill: #e7ebef; }
.rule { stroke: #d0d7de; fill: none; }
.ink { fill: #1f2328; } .soft { fill: #59636e; } .good { fill: #11702f; } .bad { fill: #b3123c; }
.line1 { stroke: #332288; } .line2 { stroke: #b3477f; } .line3 { stroke: #117733; }
.dot1 { fill: #332288; } .dot2 { fill: #b3477f; } .dot3 { fill: #117733; }
@media (prefers-color-scheme: dark) {
.sheet { fill: #14181d; stroke: #3d444d; }
.tile { fill: #1e242b; }
.track { fill: #2b323a; }
.rule { stroke: #3d444d; }
.ink { fill: #f0f3f6; } .soft { fill: #a5afba; } .good { fill: #57c878; } .bad { fill: #ff7b93; }
.line1 { stroke: #88ccee; } .line2 { stroke: #e88bb8; } .line3 { stroke: #7fd08f; }
.dot1 { fill: #88ccee; } .dot2 { fill: #e88bb8; } .dot3 { fill: #7fd08f; }
}
`;

export function escapeXml(text: string): string {
  const names: Readonly<Record<string, string>> = { '&': 'amp', '<': 'lt', '>': 'gt', '"': 'quot' };
  const shown = [...text].filter((c) => c >= ' ' && c !== '\u{fffe}' && c !== '\u{ffff}').join('');
  return shown.replace(/[&<>"]/g, (c) => `&${names[c]};`);
}

function at(position: number): string {
  return String(Math.round(position * 10) / 10);
}

export function text(x: number, y: number, words: string, style: TextStyle = {}): string {
  const { size = 12, anchor = 'start', tone = 'ink', bold = false, fill } = style;
  const colour = fill === undefined ? `class="${tone}"` : `fill="${fill}"`;
  const place = anchor === 'start' ? '' : ` text-anchor="${anchor}"`;
  const weight = bold ? ' font-weight="600"' : '';
  return (
    `<text x="${at(x)}" y="${at(y)}" font-size="${size}"${place}${weight} ${colour}>` +
    `${escapeXml(words)}</text>`
  );
}

/** Bold words and, wherever they end in the reader's font, what is said beside them. */
export function phrase(
  x: number,
  y: number,
  bold: string,
  beside: string,
  sizes: readonly [bold: number, beside: number],
): string {
  return (
    `<text x="${at(x)}" y="${at(y)}" font-size="${sizes[0]}" font-weight="600" class="ink">` +
    `${escapeXml(bold)}<tspan dx="8" font-size="${sizes[1]}" font-weight="400" class="soft">` +
    `${escapeXml(beside)}</tspan></text>`
  );
}

export interface BoxStyle {
  readonly fill?: string;
  readonly kind?: 'sheet' | 'tile' | 'track';
  readonly radius?: number;
  /** Shown when the pointer rests on the shape. */
  readonly tip?: string;
}

export function box(x: number, y: number, wide: number, high: number, style: BoxStyle): string {
  const { fill, kind, radius = 0, tip = '' } = style;
  const colour = fill === undefined ? `class="${kind ?? 'tile'}"` : `fill="${fill}"`;
  const round = radius === 0 ? '' : ` rx="${radius}"`;
  const shape = `<rect x="${at(x)}" y="${at(y)}" width="${at(wide)}" height="${at(high)}"${round} ${colour}`;
  return tip === '' ? `${shape}/>` : `${shape}><title>${escapeXml(tip)}</title></rect>`;
}

export function rule(x1: number, y1: number, x2: number, y2: number): string {
  return `<line x1="${at(x1)}" y1="${at(y1)}" x2="${at(x2)}" y2="${at(y2)}" class="rule"/>`;
}

export type Point = readonly [x: number, y: number];

/** A line through points in the colour of series 1, 2 or 3. */
export function curve(points: readonly Point[], series: number): string {
  const path = points.map(([x, y]) => `${at(x)},${at(y)}`).join(' ');
  return `<polyline points="${path}" fill="none" stroke-width="2.5" stroke-linejoin="round" class="line${series}"/>`;
}

/** A point of a series: a disc, a square or a diamond, for readers who see no colours. */
export function dot([x, y]: Point, series: number, tip = ''): string {
  const shapes = [
    `<circle cx="${at(x)}" cy="${at(y)}" r="4"`,
    `<rect x="${at(x - 3.5)}" y="${at(y - 3.5)}" width="7" height="7"`,
    `<path d="M${at(x)} ${at(y - 5)}l5 5l-5 5l-5 -5z"`,
  ];
  const shape = shapes[series - 1];
  const drawn = `${shape} class="dot${series}"`;
  const name = shape.slice(1, shape.indexOf(' '));
  return tip === '' ? `${drawn}/>` : `${drawn}><title>${escapeXml(tip)}</title></${name}>`;
}

/** Moves shapes to a place. */
export function group(x: number, y: number, shapes: readonly string[]): string {
  return `<g transform="translate(${at(x)} ${at(y)})">\n${shapes.join('\n')}\n</g>`;
}

export function drawing(
  wide: number,
  high: number,
  title: string,
  shapes: readonly string[],
): string {
  const size = `width="${at(wide)}" height="${at(high)}" viewBox="0 0 ${at(wide)} ${at(high)}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img">`,
    `<title>${escapeXml(title)}</title>`,
    `<style>${STYLE}</style>`,
    ...shapes,
    '</svg>\n',
  ].join('\n');
}

/** Mean width of a letter over its size, on the wide side. */
const LETTER = 0.62;

/** Width of text, roughly: the font is whatever the reader has. */
export function widthOf(words: string, size: number): number {
  return [...words].length * size * LETTER;
}

export function fitted(words: string, wide: number, size: number): string {
  const letters = [...words];
  const most = Math.max(1, Math.floor(wide / (size * LETTER)));
  return letters.length <= most ? words : `${letters.slice(0, most - 1).join('')}…`;
}

/** Black or white, whichever is read better on a colour `#rrggbb`. */
export function inkOn(colour: string): string {
  const [red, green, blue] = [1, 3, 5].map((i) => Number.parseInt(colour.slice(i, i + 2), 16));
  return red * 299 + green * 587 + blue * 114 > 125_000 ? '#1f2328' : '#ffffff';
}

/** The colour `part` of the way from one to the other. */
export function blend(from: string, to: string, part: number): string {
  const channel = (i: number): string => {
    const [a, b] = [from, to].map((colour) => Number.parseInt(colour.slice(i, i + 2), 16));
    return Math.round(a + (b - a) * part)
      .toString(16)
      .padStart(2, '0');
  };
  return `#${[1, 3, 5].map(channel).join('')}`;
}
