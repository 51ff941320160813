import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalTime;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.time.chrono.IsoChronology;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeFormatterBuilder;
import java.time.format.ResolverStyle;
import java.time.LocalDate;
import java.time.temporal.TemporalAccessor;
import java.time.temporal.TemporalQueries;
import java.util.Locale;

/**
 * What java.time makes of date patterns and cells, one line for each line of questions.tsv.
 *
 * A question is a pattern and a cell, tab-separated; `\\uXXXX` stands for one UTF-16 unit. The answer
 * is the milliseconds since 1970, `invalid`, or `refused` where Java takes the pattern for none.
 *
 * Without an era, Java's strict resolver leaves a `y` unresolved; so `y` is read as `u` there.
 */
public class DateOracle {
    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        for (String line : Files.readAllLines(Path.of(arguments[0]), StandardCharsets.UTF_8)) {
            String[] question = line.split("\t", -1);
            out.println(line + "\t" + answer(unescaped(question[0]), unescaped(question[1])));
        }
    }

    static String answer(String pattern, String cell) {
        DateTimeFormatter format;
        try {
            format = new DateTimeFormatterBuilder()
                .appendPattern(proleptic(pattern))
                .toFormatter(Locale.ENGLISH)
                .withChronology(IsoChronology.INSTANCE)
                .withResolverStyle(ResolverStyle.STRICT);
        } catch (IllegalArgumentException refused) {
            return "refused";
        }
        try {
            TemporalAccessor found = format.parse(cell);
            LocalDate day = found.query(TemporalQueries.localDate());
            LocalTime time = found.query(TemporalQueries.localTime());
            ZoneId zone = found.query(TemporalQueries.zone());
            if (day == null) {
                return "invalid";
            }
            Instant instant = day.atTime(time == null ? LocalTime.MIDNIGHT : time)
                .atZone(zone == null ? ZoneOffset.UTC : zone).toInstant();
            return Long.toString(instant.toEpochMilli());
        } catch (DateTimeException invalid) {
            return "invalid";
        }
    }

    /** The pattern with `u` for each unquoted `y`, unless it names an era. */
    static String proleptic(String pattern) {
        StringBuilder text = new StringBuilder();
        boolean quoted = false;
        boolean era = false;
        for (char letter : pattern.toCharArray()) {
            quoted ^= letter == '\'';
            era |= !quoted && letter == 'G';
            text.append(!quoted && letter == 'y' ? 'u' : letter);
        }
        return era ? pattern : text.toString();
    }

    static String unescaped(String text) {
        StringBuilder plain = new StringBuilder();
        for (int at = 0; at < text.length(); at++) {
            if (text.startsWith("\\u", at)) {
                plain.append((char) Integer.parseInt(text.substring(at + 2, at + 6), 16));
                at += 5;
            } else {
                plain.append(text.charAt(at));
            }
        }
        return plain.toString();
    }
}
