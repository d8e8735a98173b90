import jakarta.jms.BytesMessage;
import jakarta.jms.Connection;
import jakarta.jms.JMSException;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Session;
import jakarta.jms.TextMessage;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.apache.qpid.jms.JmsConnectionFactory;

/**
 * A Java service that knows nothing of aspyx_event: it reads and writes plain JMS messages.
 *
 * One command a line on standard input, one answer a line on standard output; fields are percent-encoded and separated
 * by spaces. "text|bytes TOPIC BODY NAME TYPE VALUE ..." answers the message id, "subscribe TOPIC" answers "ok",
 * "receive MILLISECONDS" answers "KIND BODY ID NAME TYPE VALUE ..." or "nothing". It ends with its input.
 */
public class JmsClient {
    private final Session session;
    private MessageConsumer consumer;

    private JmsClient(Session session) {
        this.session = session;
    }

    public static void main(String[] arguments) throws Exception {
        JmsConnectionFactory factory = new JmsConnectionFactory(
            System.getenv("JMS_USER"), System.getenv("JMS_PASSWORD"), System.getenv("JMS_URL"));
        try (Connection connection = factory.createConnection()) {
            connection.start();
            JmsClient client = new JmsClient(connection.createSession(false, Session.AUTO_ACKNOWLEDGE));
            BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
            for (String line = commands.readLine(); line != null; line = commands.readLine()) {
                List<String> fields = new ArrayList<>();
                for (String field : line.split(" ", -1)) {
                    fields.add(URLDecoder.decode(field, StandardCharsets.UTF_8));
                }
                List<String> answer = client.carryOut(fields);
                answer.replaceAll(field -> URLEncoder.encode(field, StandardCharsets.UTF_8));
                System.out.println(String.join(" ", answer));
            }
        }
    }

    private List<String> carryOut(List<String> fields) throws JMSException {
        List<String> answer = new ArrayList<>();
        switch (fields.get(0)) {
            case "text" -> answer.add(send(session.createTextMessage(fields.get(2)), fields));
            case "bytes" -> {
                BytesMessage message = session.createBytesMessage();
                message.writeBytes(fields.get(2).getBytes(StandardCharsets.UTF_8));
                answer.add(send(message, fields));
            }
            case "subscribe" -> {
                if (consumer != null) {
                    consumer.close();
                }
                consumer = session.createConsumer(session.createTopic(fields.get(1)));
                answer.add("ok");
            }
            case "receive" -> describe(consumer.receive(Long.parseLong(fields.get(1))), answer);
            default -> throw new IllegalArgumentException(fields.get(0));
        }
        return answer;
    }

    private String send(Message message, List<String> fields) throws JMSException {
        for (int at = 3; at < fields.size(); at += 3) {
            String name = fields.get(at);
            String value = fields.get(at + 2);
            switch (fields.get(at + 1)) {
                case "Integer" -> message.setIntProperty(name, Integer.parseInt(value));
                case "Boolean" -> message.setBooleanProperty(name, Boolean.parseBoolean(value));
                default -> message.setStringProperty(name, value);
            }
        }
        try (MessageProducer producer = session.createProducer(session.createTopic(fields.get(1)))) {
            producer.send(message);
        }
        return message.getJMSMessageID();
    }

    private static void describe(Message message, List<String> answer) throws JMSException {
        if (message == null) {
            answer.add("nothing");
            return;
        }
        if (message instanceof TextMessage text) {
            Collections.addAll(answer, "TextMessage", text.getText());
        } else {
            Collections.addAll(answer, message.getClass().getSimpleName(), "");
        }
        answer.add(String.valueOf(message.getJMSMessageID()));
        for (Object name : Collections.list(message.getPropertyNames())) {
            Object value = message.getObjectProperty((String) name);
            String kind = value == null ? "null" : value.getClass().getSimpleName();
            Collections.addAll(answer, (String) name, kind, String.valueOf(value));
        }
    }
}
