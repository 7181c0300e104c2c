// Owns what is checked in Markdown: links to files and to headings of this project.
import remarkValidateLinks from "remark-validate-links";

export default { plugins: [[remarkValidateLinks, { repository: false }]] };
