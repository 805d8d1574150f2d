# SPDX-License-Identifier: Apache-2.0
# awk -v root=. -f dead_links.awk FOLDER/*.html: every link that leads nowhere, to a page, a place in one, or a file of the
# project, and fails where there is one.
FNR == 1 {
  page = FILENAME
  sub(".*/", "", page)
  pages[page] = 1
}
{
  line = $0
  while (match(line, /(id|name|href|src)="[^"]*"/)) {
    text = substr(line, RSTART, RLENGTH - 1)
    line = substr(line, RSTART + RLENGTH)
    value = substr(text, index(text, "\"") + 1)
    if (text ~ /^(id|name)/) {
      places[page "#" value] = 1
    } else if (value !~ /^(https?|mailto|javascript):/) {
      links[page " " (value ~ /^#/ ? page value : value)] = 1
    }
  }
}
END {
  folder = FILENAME
  sub("[^/]*$", "", folder)
  for (link in links) {
    target = link
    sub("[^ ]* ", "", target)
    file = target
    sub("#.*", "", file)
    if (file in pages) {
      is_there = target !~ /#./ || target in places
    } else {
      if (sub("^../../../", root "/", file) == 0) file = folder file
      if (!(file in known)) known[file] = system("test -e '" file "'") == 0
      is_there = known[file]
    }
    if (!is_there) {
      print "a dead link: " link
      ++dead
    }
  }
  exit dead > 0
}
