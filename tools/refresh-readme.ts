#!/usr/bin/env node
/**
 * Runs scenarios/quickstart.yaml, puts its report between the markers of README.md, as the program
 * prints it, and draws scenarios/quickstart.svg: `npm run build && node dist/tools/refresh-readme.js`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { scenarioHome } from '../scenarios/extends.ts';
import { loadScenario } from '../scenarios/loader.ts';
import { InputError } from '../sim/errors.ts';
import { engine } from './engine.ts';
import { PLAIN } from './report/model.ts';
import { renderExpectations, renderReport } from './report/report.ts';
import { renderSheet } from './report/sheet/sheet.ts';

const BLOCK = /(<!-- report:begin[^>]*-->\n)[\s\S]*?(<!-- report:end -->)/;

interface Result {
  readonly report: string;
  readonly picture: string;
}

async function quickstart(): Promise<Result> {
  const { points, description } = loadScenario(join(scenarioHome(), 'quickstart.yaml'));
  const { stats, expectations } = await engine.run(points[0].scenario, {
    threads: 1,
    traceLevel: 'off',
  });
  const rows = expectations.map((result) => ({ label: '', result }));
  return {
    report: `${renderReport(stats, PLAIN, description)}\n${renderExpectations(rows, PLAIN)}`,
    picture: renderSheet(stats, description),
  };
}

const path = join(dirname(scenarioHome()), 'README.md');
const text = readFileSync(path, 'utf8');
if (!BLOCK.test(text)) throw new InputError('readme', `${path}: the report markers are missing`);
const { report, picture } = await quickstart();
writeFileSync(join(scenarioHome(), 'quickstart.svg'), picture);
writeFileSync(
  path,
  text.replace(BLOCK, (_all, begin, end) => `${begin}\n\`\`\`text\n${report}\`\`\`\n\n${end}`),
);
